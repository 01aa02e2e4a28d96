import { setImmediate as nextTurn } from 'node:timers/promises';

import { MdevError } from '../errors/mdev-error.ts';
import type { IncomingStream } from './incoming-stream.ts';
import { type Migration, MigrationFlag, MigrationState, type Settle } from './migration.ts';
import { migrationPath } from './migration-path.ts';
import { OutgoingStream } from './outgoing-stream.ts';

const { error, running, stopCopy, resuming, runningP2p, preCopy, preCopyP2p } = MigrationState;
const RUNNING: readonly number[] = [running, runningP2p, preCopy, preCopyP2p];
/** How long a guest's last words are listened to. It has stopped by then, or does not mean to. */
const SETTLES_WITHIN_MS = 250;
const SAVING: readonly number[] = [stopCopy, preCopy, preCopyP2p];

/** What a {@link MigrationMachine} does to its device. What a method throws leaves the device as it was. */
export interface MigrationSteps {
  /** Milliseconds that all of {@link MigrationMachine.setState} may take: they are shared by what it waits for. */
  readonly answersWithin: number;
  /** Stops the device. Rejects when it has not stopped within `limit` milliseconds; it runs then. */
  stop(limit: number): Promise<void>;
  /** Lets a stopped device go on, or a frozen one be frozen only. */
  resume(): void;
  /** The first bytes of a stream, sent while the device runs if `early`. */
  begin(early: boolean): Uint8Array;
  /** The rest of the stream. The device has stopped. Rejects when it is not there within `limit` milliseconds. */
  save(limit: number): Promise<Uint8Array>;
  /** About how many bytes `begin` and `save` will give. */
  estimate(): number;
  /** Begins to collect a stream. Throws when the device can take none. */
  receive(): IncomingStream;
  /** Takes over what was received, all or nothing. The device has stopped, and stays so. */
  restore(stream: IncomingStream): void;
}

/** One way from state to state. */
interface Move {
  /** That of the machine when it began. */
  readonly epoch: number;
  /** When the client is to be answered, milliseconds of `performance.now()`. */
  readonly deadline: number;
  readonly settle: Settle;
}

/**
 * Walks a device through the states of VFIO migration, version 2. A device without peers runs in the P2P states as in the others.
 *
 * A step that fails leaves the device where the last one has led. `error` is for a device that was cut off, and only {@link reset} leads out of it.
 */
export class MigrationMachine implements Migration {
  readonly flags: number;
  readonly #steps: MigrationSteps;
  #state: number = running;
  #outgoing: OutgoingStream | undefined;
  #incoming: IncomingStream | undefined;
  /** The client knows that nothing of the stream was taken. */
  #toldRefusal = false;
  #moving = false;
  /** The device takes over what was received. */
  #restoring = false;
  /** Grows whenever something from outside has moved the device. */
  #epoch = 0;

  /** @param flags {@link MigrationFlag} bits; `stopCopy` among them. */
  constructor(
    steps: MigrationSteps,
    flags: number = MigrationFlag.stopCopy | MigrationFlag.p2p | MigrationFlag.preCopy,
  ) {
    this.#steps = steps;
    this.flags = flags;
  }

  get state(): number {
    return this.#state;
  }

  /** Whether the device has stopped because its client wants so. */
  get stopped(): boolean {
    return this.#state !== error && !RUNNING.includes(this.#state);
  }

  get stopCopySize(): number {
    const unread = this.#outgoing?.length ?? 0;
    return this.#state === stopCopy ? unread : unread + this.#steps.estimate();
  }

  async setState(target: number, settle: Settle = () => true): Promise<void> {
    const path = migrationPath(this.flags, this.#state, target);
    if (path === undefined) throw new MdevError('EINVAL', `migration: ${this.#state} does not lead to state ${target}`);
    if (this.#moving) throw new MdevError('EBUSY', 'migration: the device is on its way to another state');
    const move: Move = { epoch: this.#epoch, deadline: performance.now() + this.#steps.answersWithin, settle };
    const { epoch } = move;
    this.#moving = true;
    try {
      for (const next of path) {
        await this.#step(next, move);
        if (epoch !== this.#epoch) throw cancelled();
        this.#state = next;
      }
    } finally {
      if (epoch === this.#epoch) this.#moving = false;
    }
  }

  read(size: number): Uint8Array {
    if (this.#outgoing === undefined || !SAVING.includes(this.#state)) {
      throw new MdevError('EINVAL', `migration: nothing is saved in state ${this.#state}`);
    }
    return this.#outgoing.read(size);
  }

  write(data: Uint8Array): void {
    if (this.#incoming === undefined) {
      throw new MdevError('EINVAL', `migration: nothing is restored in state ${this.#state}`);
    }
    this.#refusable(() => this.#incoming?.write(data));
  }

  /** The device was reset: it runs, and streams have ended. Returns whether it had been stopped. */
  reset(): boolean {
    const { stopped } = this;
    this.#moveTo(running);
    return stopped;
  }

  /** The client is gone: the device runs, unless it is in `error`. */
  release(): void {
    if (this.#state !== error) this.#moveTo(running);
  }

  /** The device was cut off until it is reset. While it runs it can be moved as it is; in the middle of a move that move is lost. */
  freeze(): void {
    if (this.#restoring || (RUNNING.includes(this.#state) && !this.#moving)) return;
    this.fail();
  }

  /** The device goes on for one that was in `error`; unless its client has brought it here, whose destination begins anew. */
  failUnlessMoved(): void {
    if (!this.#restoring) this.fail();
  }

  /** The device was cut off for good. */
  fail(): void {
    this.#moveTo(error);
  }

  #moveTo(state: number): void {
    this.#epoch += 1;
    this.#moving = false;
    this.#outgoing = undefined;
    this.#incoming = undefined;
    this.#state = state;
  }

  async #step(next: number, move: Move): Promise<void> {
    const from = this.#state;
    if (RUNNING.includes(from) && !RUNNING.includes(next)) await this.#stop(move);
    else if (!RUNNING.includes(from) && RUNNING.includes(next)) this.#steps.resume();
    if (from === resuming) this.#endReceiving();
    if (next === resuming) {
      this.#incoming = this.#steps.receive();
      this.#toldRefusal = false;
    } else if (next === stopCopy) {
      await this.#save(RUNNING.includes(from), move);
    } else if (SAVING.includes(next) && !SAVING.includes(from)) {
      const outgoing = new OutgoingStream();
      outgoing.push(this.#steps.begin(true));
      this.#outgoing = outgoing;
    } else if (!SAVING.includes(next)) {
      this.#outgoing = undefined;
    }
  }

  async #stop(move: Move): Promise<void> {
    const { deadline, epoch } = move;
    await this.#settle(move);
    await this.#steps.stop(leftUntil(deadline));
    if (epoch === this.#epoch) return;
    // It was reset meanwhile, and should run.
    this.#steps.resume();
    throw cancelled();
  }

  /** A guest that goes on and on keeps nobody from stopping its device: what is left then stays where it is. */
  async #settle({ deadline, epoch, settle }: Move): Promise<void> {
    const limit = performance.now() + Math.min(leftUntil(deadline) / 2, SETTLES_WITHIN_MS);
    while (!settle() && performance.now() < limit) await nextTurn();
    if (epoch !== this.#epoch) throw cancelled();
  }

  /** @param ran The device has just been stopped for this. */
  async #save(ran: boolean, { deadline, epoch }: Move): Promise<void> {
    const outgoing = this.#outgoing ?? new OutgoingStream();
    try {
      const front = this.#outgoing === undefined ? this.#steps.begin(false) : new Uint8Array(0);
      const rest = await this.#steps.save(leftUntil(deadline));
      if (epoch !== this.#epoch) throw cancelled();
      outgoing.push(front);
      outgoing.push(rest);
      this.#outgoing = outgoing;
    } catch (failure) {
      if (ran && epoch === this.#epoch) this.#steps.resume();
      throw failure;
    }
  }

  /** Leaves `resuming`: takes the stream, or goes without if the client has been told that it was refused and has sent nothing since. */
  #endReceiving(): void {
    const incoming = this.#incoming;
    if (incoming !== undefined && !(this.#toldRefusal && incoming.length === 0)) {
      this.#restoring = true;
      try {
        this.#refusable(() => {
          this.#steps.restore(incoming);
        });
      } finally {
        this.#restoring = false;
      }
    }
    this.#incoming = undefined;
  }

  /** A stream that is refused is forgotten; another one may follow. */
  #refusable(action: () => void): void {
    try {
      action();
    } catch (failure) {
      if (this.#incoming !== undefined) this.#incoming = this.#steps.receive();
      this.#toldRefusal = true;
      throw failure;
    }
  }
}

function leftUntil(deadline: number): number {
  return Math.max(deadline - performance.now(), 0);
}

function cancelled(): MdevError {
  return new MdevError('ECANCELED', 'migration: the device was reset, or its client has left');
}
