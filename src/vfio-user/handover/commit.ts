import { HandoverError } from './handover-error.ts';
import type { HandoverPeer } from './handover-peer.ts';
import { encodeBody, HandoverKind } from './messages.ts';

/**
 * The moment from which on another process has the instance, as both sides see it, whatever ends when.
 *
 * What decides is the queue of bytes that the running server has not read: either the successor's `begun` is in it, or it never can be. The successor begins
 * when the socket has taken `begun`, and not before. The running server goes on when it has found the end of its queue and no `begun` in it, and has said so; no
 * more can come then, because the successor has ended, or because this side has shut its queue. A successor whose `begun` is not taken looks for that last
 * refusal when the running server has ended: if there is none, that is dead, and has not gone on. One that comes before a queue is shut is `undecided`: it
 * tells only why.
 */

/** Reasons are cut: a refusal has to fit into one piece. */
const REASON_MAX = 500;

/**
 * Gives the instance away. The successor is ready.
 *
 * @param deadline by `performance.now()`: the successor that has not begun by then does not.
 * @returns when it is the successor's.
 * @throws HandoverError when it is not, and cannot be any more.
 */
export async function giveInstance(peer: HandoverPeer, deadline: number): Promise<void> {
  peer.prepareToDecide();
  if (!(await peer.offer(HandoverKind.go, deadline))) {
    throw new HandoverError('ECANCELED', 'the other side ended when it was ready');
  }
  try {
    await peer.receive([HandoverKind.begun], deadline);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const refusal = { reason: reason.slice(0, REASON_MAX) };
    // As long as it takes: a release before this one that finds no refusal here takes this process for dead.
    await peer.offer(HandoverKind.refuse, Infinity, encodeBody({ ...refusal, undecided: true }));
    if (!(await peer.hasSaid(HandoverKind.begun, refusal))) throw error;
  }
}

/**
 * Takes the instance, when the running server gives it. Everything is in place, and this side has said so.
 *
 * @param deadline by `performance.now()`.
 * @returns when it is this process's.
 * @throws HandoverError when it is not, and cannot be any more.
 */
export async function takeInstance(peer: HandoverPeer, deadline: number): Promise<void> {
  await peer.receive([HandoverKind.go], deadline);
  if (await peer.offer(HandoverKind.begun, Infinity)) return;
  // It reads no more: it goes on, and has said so, or it is dead.
  const refusal = await peer.refusal();
  if (refusal !== undefined) throw refusal;
}
