// Loaded before `mdev` (NODE_OPTIONS=--import): ends or stops the process at one moment of a handover.
// MDEV_TEST_AT: "say go", "said go" or "heard go"; MDEV_TEST_SIGNAL: SIGKILL or SIGSTOP.
import { HandoverPeer } from '../../../dist/vfio-user/handover/handover-peer.js';
import { HandoverKind } from '../../../dist/vfio-user/handover/messages.js';

const moment = process.env.MDEV_TEST_AT;
const signal = process.env.MDEV_TEST_SIGNAL;
const nameOf = (kind) => Object.entries(HandoverKind).find(([, value]) => value === kind)?.[0];

let passed = false;
function reached(when, kind) {
  if (passed || moment !== `${when} ${nameOf(kind)}`) return;
  passed = true;
  process.kill(process.pid, signal);
}

const { offer, receive, send } = HandoverPeer.prototype;
HandoverPeer.prototype.send = function (kind, ...rest) {
  reached('say', kind);
  send.call(this, kind, ...rest);
};
HandoverPeer.prototype.offer = async function (kind, ...rest) {
  reached('say', kind);
  const taken = await offer.call(this, kind, ...rest);
  reached('said', kind);
  return taken;
};
HandoverPeer.prototype.receive = async function (...args) {
  const message = await receive.apply(this, args);
  reached('heard', message.kind);
  return message;
};
