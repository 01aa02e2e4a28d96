import type { RegisterEffect } from '../emulation/index.ts';

/** What becomes visible when a command ends. */
export interface CommandEffects {
  /** Applied in this order, each with release semantics; see `wordEffect` and `lockEffect`. */
  readonly registers: readonly RegisterEffect[];
  /** MSI-X vectors, raised after that. */
  readonly vectors: readonly number[];
}

/** A command over some queues of a device. */
export interface QueueCommand {
  readonly queues: readonly number[];
  /** They take no descriptors any more, until they are enabled again. */
  readonly stopAccepting: boolean;
  /**
   * What was submitted is abandoned at its next chunk, instead of waited for. What it has asked of the client by message
   * is cancelled: nobody waits for an answer.
   */
  readonly abort: boolean;
  /**
   * Only descriptors that act for this PASID, 20 bits, are abandoned or waited for: those of dedicated queues that are
   * configured with it, and of shared queues those that name it. All when absent. Not together with `stopAccepting`.
   */
  readonly pasid?: number;
  /**
   * What becomes of errors on their way to the event log. `drain`: the command ends when those from before are written;
   * an abort leaves them alone. `close`: the log is the guest's memory no more when the command ends; what waits is written
   * before, or dropped if this aborts. Nothing when absent.
   */
  readonly eventLog?: 'drain' | 'close';
  readonly effects: CommandEffects;
}
