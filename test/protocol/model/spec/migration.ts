import { Errno } from './wire.ts';

const { EINVAL, EIO } = Errno;

/** VFIO_DEVICE_STATE_*. */
export const State = {
  error: 0,
  stop: 1,
  running: 2,
  stopCopy: 3,
  resuming: 4,
  runningP2p: 5,
  preCopy: 6,
  preCopyP2p: 7,
} as const;

const { stop, running, stopCopy, resuming, runningP2p, preCopy, preCopyP2p } = State;
const RUNS: readonly number[] = [running, runningP2p, preCopy, preCopyP2p];
const SAVES: readonly number[] = [stopCopy, preCopy, preCopyP2p];

/** `<linux/vfio.h>`: the next state from a row to a column, of those in {@link COLUMNS}; 0: there is no way. */
const COLUMNS = [stop, running, stopCopy, resuming, runningP2p, preCopy, preCopyP2p] as const;
const TABLE: Readonly<Record<number, readonly number[]>> = {
  [stop]: [stop, runningP2p, stopCopy, resuming, runningP2p, runningP2p, runningP2p],
  [running]: [runningP2p, running, runningP2p, runningP2p, runningP2p, preCopy, runningP2p],
  [stopCopy]: [stop, stop, stopCopy, stop, stop, 0, 0],
  [resuming]: [stop, stop, stop, resuming, stop, stop, stop],
  [runningP2p]: [stop, running, stop, stop, runningP2p, running, preCopyP2p],
  [preCopy]: [running, running, preCopyP2p, running, running, preCopy, preCopyP2p],
  [preCopyP2p]: [runningP2p, runningP2p, stopCopy, runningP2p, runningP2p, preCopy, preCopyP2p],
};

/** What a migration does with its device. A state of the device is whatever `save` gives. */
export interface Migrated<S extends object = object> {
  readonly frozen: boolean;
  pause(): void;
  resume(): void;
  save(): S;
  restore(state: S): void;
}

/** How long streams of this device are: the part that goes while it runs, and all of it. What is in them is the server's. */
export interface StreamLengths {
  readonly front: number;
  readonly whole: number;
}

/** A stream that the server gives. */
interface Stream {
  /** Undefined until the device has stopped. */
  state: object | undefined;
  length: number;
  read: number;
  /** As far as the client has read them. */
  readonly bytes: Uint8Array;
  /** Bytes of it that the client has. */
  known: number;
}

/** VFIO's migration protocol, version 2, of a device with all states. */
export class Migration {
  state: number = running;
  readonly #device: Migrated;
  readonly lengths: StreamLengths;
  /** All that were begun; their number is their place. */
  readonly streams: Stream[] = [];
  #outgoing: Stream | undefined;
  #incoming: Uint8Array | undefined;
  /** The client was told that its stream is refused, and has sent nothing since. */
  #refused = false;

  constructor(device: Migrated, lengths: StreamLengths) {
    this.#device = device;
    this.lengths = lengths;
  }

  get saving(): boolean {
    return SAVES.includes(this.state);
  }

  /** Numbers of streams that the client has all of. */
  get complete(): readonly number[] {
    return this.streams.flatMap(({ state, length, known }, number) =>
      state !== undefined && known === length ? [number] : [],
    );
  }

  /** Bytes that the client has not read. */
  get unread(): number {
    return this.#outgoing === undefined ? 0 : this.#outgoing.length - this.#outgoing.read;
  }

  /** Bytes that a stream still has to carry, if the device stops now. */
  get stopCopySize(): number {
    return this.unread + (this.state === stopCopy ? 0 : this.lengths.whole);
  }

  setState(target: number): number {
    const column = COLUMNS.findIndex((state) => state === target);
    if (column < 0) return EINVAL;
    const path: number[] = [];
    for (let state = this.state; state !== target; path.push(state)) {
      state = TABLE[state]?.[column] ?? 0;
      if (state === 0) return EINVAL;
    }
    for (const next of path) {
      const errno = this.#step(next);
      if (errno !== 0) return errno;
      this.state = next;
    }
    return 0;
  }

  /** The stream that is read, and the part of it. */
  read(size: number): { readonly stream: number; readonly from: number; readonly length: number } {
    const outgoing = this.#outgoing;
    if (outgoing === undefined) throw new Error('nothing is saved');
    const length = Math.min(size, outgoing.length - outgoing.read);
    const from = outgoing.read;
    outgoing.read += length;
    return { stream: this.streams.indexOf(outgoing), from, length };
  }

  /** What was in a stream. */
  learn(stream: number, from: number, bytes: Uint8Array): void {
    const known = this.streams[stream];
    if (known === undefined) return;
    known.bytes.set(bytes, from);
    known.known += bytes.length;
  }

  write(data: Uint8Array): number {
    const bytes = Buffer.concat([this.#incoming ?? new Uint8Array(0), data]);
    // A stream says with its first bytes what it is.
    const known = this.streams.find(({ bytes }) => bytes.subarray(0, KNOWN).every((byte) => byte !== 0))?.bytes;
    if (bytes.length > 0 && !bytes.subarray(0, MAGIC).every((byte, at) => byte === known?.[at])) {
      this.#refuse();
      return EINVAL;
    }
    this.#incoming = bytes;
    return 0;
  }

  /** The device was cut off: while it runs it can be moved as it is, else it is in ERROR until it is reset. */
  freeze(): void {
    if (RUNS.includes(this.state)) return;
    this.state = State.error;
    this.#outgoing = this.#incoming = undefined;
  }

  /** Any state ends here when the device is reset, or its client leaves. */
  reset(): void {
    if (!RUNS.includes(this.state)) this.#device.resume();
    this.state = running;
    this.#outgoing = this.#incoming = undefined;
  }

  #step(next: number): number {
    const from = this.state;
    if (RUNS.includes(from) && !RUNS.includes(next)) this.#device.pause();
    if (!RUNS.includes(from) && RUNS.includes(next)) this.#device.resume();
    if (from === resuming && !this.#endReceiving()) return EINVAL;
    if (next === resuming) {
      // Only a reset mends it.
      if (this.#device.frozen) return EIO;
      this.#incoming = new Uint8Array(0);
      this.#refused = false;
    }
    if (!SAVES.includes(next)) this.#outgoing = undefined;
    else if (this.#outgoing === undefined) this.#begin();
    if (next === stopCopy && this.#outgoing !== undefined) {
      this.#outgoing.state = this.#device.save();
      this.#outgoing.length = this.lengths.whole;
    }
    return 0;
  }

  #begin(): void {
    const bytes = new Uint8Array(this.lengths.whole);
    this.#outgoing = { state: undefined, length: this.lengths.front, read: 0, bytes, known: 0 };
    this.streams.push(this.#outgoing);
  }

  /** All of a stream is taken, or nothing. */
  #endReceiving(): boolean {
    const received = this.#incoming ?? new Uint8Array(0);
    if (received.length > 0 || !this.#refused) {
      const same = this.complete.findLast((n) => Buffer.compare(this.streams[n]?.bytes ?? received, received) === 0);
      const state = same === undefined ? undefined : this.streams[same]?.state;
      if (state === undefined) {
        this.#refuse();
        return false;
      }
      this.#device.restore(state);
    }
    this.#incoming = undefined;
    return true;
  }

  #refuse(): void {
    this.#incoming = new Uint8Array(0);
    this.#refused = true;
  }
}

const MAGIC = 8;
/** So much of that is not zero, and what the client has not read is. */
const KNOWN = 5;
