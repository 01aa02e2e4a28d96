import { setTimeout } from 'node:timers/promises';

import { checkTimeLimit } from '../../mdev/errors/time-limit.ts';
import { coreOf } from '../../native/device-handle.ts';
import { resumeClient, saveClient } from '../native.ts';
import type { SavedClient } from '../server/served-connection.ts';
import { giveInstance } from './commit.ts';
import { HandoverError, type HandoverErrorCode } from './handover-error.ts';
import { HandoverPeer } from './handover-peer.ts';
import type { HandoverSubject } from './handover-subject.ts';
import { sendImage } from './image-transport.ts';
import { encodeImage, type ImagePart } from './image.ts';
import { KeptFds } from './kept-fds.ts';
import { decodeHello, encodeBody, HANDOVER_VERSION, HandoverKind, type InstanceFacts } from './messages.ts';
import { resumeDevice } from './resume-device.ts';
import { encodeClient } from './saved-client.ts';

/** How a server is handed over. */
export interface HandOverOptions {
  /** What the successor should know of the instance, such as its UUID: text by name. */
  readonly instance?: InstanceFacts;
  /**
   * Milliseconds that clients wait at most while everything moves; then the handover is called off and the server goes on. 4,000 when absent: QEMU
   * gives up on a server that does not answer for 5 s. 1 to 2^31 - 1.
   */
  readonly within?: number;
  /** Milliseconds that the successor has to get ready, before anything stops, 1 to 2^31 - 1. 30,000 when absent. */
  readonly prepareWithin?: number;
}

/** @throws `MdevError` `EINVAL` that names the option that is out of range. */
export function checkHandOverOptions({ prepareWithin, within }: HandOverOptions): void {
  checkTimeLimit('within', within);
  checkTimeLimit('prepareWithin', prepareWithin);
}

const WITHIN_MS = 4000;
const PREPARE_WITHIN_MS = 30_000;
/** What a client has been asked for by message may take so long to be answered, at most; then it is cancelled, and asked again. */
const REQUESTS_WITHIN_MS = 100;
const LOOK_MS = 1;

/**
 * Hands a server over to the process at the other side of a socket, which is taken in every case.
 * @throws HandoverError; the server goes on then as if nothing had been.
 */
export async function giveAway(subject: HandoverSubject, fd: number, options: HandOverOptions): Promise<void> {
  const prepareBy = performance.now() + (options.prepareWithin ?? PREPARE_WITHIN_MS);
  const peer = new HandoverPeer(fd);
  try {
    await prepare(subject, peer, options.instance ?? {}, prepareBy);
    await move(subject, peer, options.within ?? WITHIN_MS);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await peer.refuse(reason, performance.now() + WITHIN_MS);
    throw error instanceof HandoverError ? error : new HandoverError(codeOf(error), reason, { cause: error });
  }
  peer.close();
}

/** Agrees with the successor, unless the server is closed meanwhile: it would hand over nothing. */
async function prepare(
  subject: HandoverSubject,
  peer: HandoverPeer,
  instance: InstanceFacts,
  deadline: number,
): Promise<void> {
  const closed: { reason?: string } = {};
  subject.prepare((reason) => {
    closed.reason = reason;
    // Whoever is waited for need not say anything.
    void peer.refuse(reason, performance.now() + WITHIN_MS);
  });
  try {
    await agree(subject, peer, instance, deadline);
  } catch (error) {
    throw closed.reason === undefined ? error : new HandoverError('ECANCELED', closed.reason, { cause: error });
  } finally {
    subject.prepare(undefined);
  }
}

/** Tells the process at the other side of a socket, which is taken, why it cannot take over. */
export async function refuseHandover(fd: number, reason: string): Promise<void> {
  const peer = new HandoverPeer(fd);
  await peer.refuse(reason, performance.now() + WITHIN_MS);
}

/** Of what a device or the system refuses with. */
function codeOf(error: unknown): HandoverErrorCode {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EBUSY' || code === 'ETIMEDOUT' || code === 'EINVAL' ? code : 'EIO';
}

async function agree(
  { connections, device, socketPath }: HandoverSubject,
  peer: HandoverPeer,
  instance: InstanceFacts,
  deadline: number,
): Promise<void> {
  const hello = decodeHello((await peer.receive([HandoverKind.hello], deadline)).body);
  if (hello?.versions.includes(HANDOVER_VERSION) !== true) {
    const versions = String(hello?.versions);
    throw new HandoverError('EINVAL', `the successor understands version ${versions}; expected ${HANDOVER_VERSION}`);
  }
  const { transfer } = device;
  if (transfer === undefined) throw new HandoverError('EINVAL', 'devices of this type cannot move to another process');
  const header = Buffer.from(transfer.header()).toString('base64');
  const held = connections.some(({ isHolder }) => isHolder);
  const path = socketPath === undefined ? {} : { socketPath };
  peer.send(HandoverKind.offer, encodeBody({ version: HANDOVER_VERSION, instance, held, header, ...path }));
  await peer.receive([HandoverKind.accept], deadline);
}

async function move(subject: HandoverSubject, peer: HandoverPeer, within: number): Promise<void> {
  const { device } = subject;
  const deadline = performance.now() + within;
  let left: string | undefined;
  const check = (): void => {
    if (left !== undefined) throw new HandoverError('ECANCELED', left);
    if (performance.now() >= deadline) throw new HandoverError('ETIMEDOUT', `it did not move within ${within} ms`);
  };
  const until = async (happened: () => boolean): Promise<void> => {
    check();
    while (!happened()) {
      await setTimeout(LOOK_MS);
      check();
    }
  };
  subject.pause((reason) => {
    left = reason;
  });
  const kept = new KeptFds(device);
  /** What this call has stopped: nobody else's pause ends with it. */
  const stopped = { device: false, client: false };
  const leftOver = (): number => Math.max(deadline - performance.now(), 1);
  try {
    for (const connection of subject.connections) connection.suspend();
    await until(() => subject.connections.every(({ settled }) => settled));
    await device.transfer?.suspend({ within: leftOver(), unlessQuiesced: true });
    stopped.device = true;
    check();
    const requestsBy = Math.min(performance.now() + REQUESTS_WITHIN_MS, deadline);
    const answered = (): boolean => subject.connections.every(({ requestsSettled }) => requestsSettled);
    await until(() => answered() || performance.now() >= requestsBy);
    const state = (await device.transfer?.save({ within: leftOver() })) ?? new Uint8Array(0);
    check();
    // From here on nothing may be awaited that changes what was saved.
    // Who has no hold may leave until it is sent, and nobody minds.
    const clients = subject.connections.map((connection) => {
      const client = connection.save();
      return connection.isHolder ? client : kept.copyOf(client);
    });
    stopped.client = true;
    const image = encodeImage(partsOf(subject, state, clients));
    await sendImage(peer, image, deadline, check);
    await peer.receive([HandoverKind.ready], deadline);
    check();
    subject.decide();
    await giveInstance(peer, deadline);
  } catch (error) {
    goOn(subject, stopped);
    // That is why, whatever came of it.
    if (left !== undefined) throw new HandoverError('ECANCELED', left, { cause: error });
    throw error;
  } finally {
    kept.close();
  }
  // The successor has begun: whatever fails from here on, this side does not go on.
  subject.handedOver();
}

/** Lets everything go on that a handover has stopped, and the server in any case: one that takes no clients and is not closed is of no use to anybody. */
function goOn(subject: HandoverSubject, stopped: { readonly device: boolean; readonly client: boolean }): void {
  const { device } = subject;
  try {
    if (stopped.client) resumeClient(coreOf(device.handle));
    if (stopped.device) resumeDevice(device);
    for (const connection of subject.connections) connection.resume();
  } finally {
    subject.resume();
  }
}

function partsOf(
  { device, listener }: HandoverSubject,
  state: Uint8Array,
  clients: readonly SavedClient[],
): readonly ImagePart[] {
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, clients.length, true);
  return [
    { bytes: count, fds: listener < 0 ? [] : [listener] },
    { bytes: state, fds: [] },
    saveClient(coreOf(device.handle)),
    ...clients.flatMap((client) => encodeClient(client)),
  ];
}
