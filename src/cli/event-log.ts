import { messageOf } from '../mdev/base/message-of.ts';
import { HookFailure, type MdevDevice, type MdevFailure } from '../mdev/index.ts';
import type { Server } from '../vfio-user/index.ts';
import { LineBudget } from './line-budget.ts';
import { tell } from './messages.ts';

/** Tells the operator who comes and goes, and what is refused; the rest of a flood is only counted. */
export function logServer(server: Server): void {
  const log = new LineBudget(tell);
  let acceptFailing = false;
  server.on('connected', (client) => {
    acceptFailing = false;
    log.line(`${client} came`);
  });
  server.on('disconnected', (client, reason) => {
    log.line(`${client} went: ${reason}`);
  });
  server.on('refused', (client, message) => {
    log.line(`${client}: ${message}`);
  });
  server.on('failed', (client, error) => {
    log.line(`${client} could not be served: ${messageOf(error)}`);
  });
  server.on('acceptFailed', (code) => {
    if (!acceptFailing)
      log.line(`clients cannot be accepted for now (${code}); raise the limit of open files if it is EMFILE`);
    acceptFailing = true;
  });
}

/**
 * Tells the operator when the instance fails or freezes, and what its guest does wrong: the first of each kind, and all of it as numbers when its
 * client leaves, or goes on with another process.
 */
export function logDevice(device: MdevDevice): void {
  const log = new LineBudget(tell);
  device.on('guestError', ({ kind, message }) => {
    log.line(`instance ${device.uuid}: ${kind}: ${message}; more of this is only counted`);
  });
  device.on('detached', () => {
    const counts = device.guestErrors.map(({ kind, count }) => `${count} ${kind}`);
    if (counts.length > 0)
      log.line(`instance ${device.uuid}: its client holds it no more; the guest had done wrong: ${counts.join(', ')}`);
  });
  device.on('failed', (failure) => {
    tell(`instance ${device.uuid} has failed: ${cause(failure)}; it is of no use any more`);
  });
  device.on('deviceError', ({ cause, error, isolated }) => {
    if (isolated) return;
    const name = 'correctable' in error ? `correctable error ${error.correctable}` : `error ${error.uncorrectable}`;
    log.line(`instance ${device.uuid} goes on after ${name}${cause === undefined ? '' : `: ${messageOf(cause)}`}`);
  });
  device.on('frozen', (failure) => {
    tell(`instance ${device.uuid} is frozen until its client resets it, or the next one comes: ${cause(failure)}`);
  });
  device.on('abandoned', (work) => {
    tell(`instance ${device.uuid} was closed although its ${work.join(', ')} did not end`);
  });
}

function cause({ error, path }: MdevFailure): string {
  const text = messageOf(error);
  // A hook's failure names its register itself.
  return error instanceof HookFailure ? text : `${path}: ${text}`;
}
