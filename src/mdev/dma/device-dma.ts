import { constants } from 'node:os';

import type { DeviceCore } from '../../native/binding.ts';
import { errnoName } from '../../native/errno.ts';
import { MdevError } from '../errors/mdev-error.ts';

const { ECANCELED, ENOTCONN } = constants.errno;
/** The most bytes of one piece; larger transfers are done piece by piece. */
const PIECE = 64 * 1024;
/** Bytes that all transfers of an instance copy before whatever else the event loop has to do. */
const TURN = 256 * 1024;
/** What the native side answers when guest memory can only be reached by a message to the client. */
const NEEDS_MESSAGE = -1;
const ADDRESS_LIMIT = 1n << 64n;
/** ECANCELED, and ENOTCONN of a client that has left. */
const CANCELED: readonly number[] = [ECANCELED, ENOTCONN];

/** Options of a transfer. */
export interface TransferOptions {
  /** Ends the transfer between two pieces. */
  readonly signal?: AbortSignal;
}

/** How guest memory is reached. */
export type DmaAccess = Pick<DeviceCore, 'dmaExtent' | 'dmaRead' | 'dmaTransfer' | 'dmaWrite'>;

/** Bytes that the transfers of an instance have copied since the event loop had its turn, and the end of the turn that is due. */
export class CopyTurns {
  #copied = 0;
  #turn: Promise<void> | undefined;
  #client = 0;

  /** Another number for each client: what was begun for one does not go on in the memory of the next. */
  get client(): number {
    return this.#client;
  }

  /** The client has left. */
  clientGone(): void {
    this.#client += 1;
  }

  /** So many bytes were copied. Whether whatever else the event loop has to do is due: then {@link others} is to be awaited. */
  copied(bytes: number): boolean {
    this.#copied += bytes;
    return this.#copied >= TURN;
  }

  /** A length that the guest chose must not keep the instance's neighbours, nor its own reset, from being served. */
  others(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#copied = 0;
        this.#turn = undefined;
        resolve();
      });
    });
    return this.#turn;
  }
}

/**
 * The device's view of guest memory, as bounds-checked copies. Transfers of more than 64 KiB are made of pieces; what
 * fails may have moved a first part. The event loop has its turn after each 256 KiB. Each rejects with an `MdevError`: `EFAULT` (not mapped, no right, bus master off),
 * `EINVAL` (beyond 2^64), `ECANCELED` (the instance was closed, or the client left or unmapped the memory meanwhile),
 * or with the signal's reason.
 */
export class DeviceDma {
  readonly #core: DmaAccess;
  readonly #life: AbortSignal;
  readonly #turns: CopyTurns;
  readonly #name: string;

  /**
   * @param life ends when the instance does.
   * @param options the turns that all transfers of the instance take, and what the memory is called in messages.
   */
  constructor(
    core: DmaAccess,
    life: AbortSignal,
    { turns, name }: { readonly turns: CopyTurns; readonly name: string },
  ) {
    this.#core = core;
    this.#life = life;
    this.#turns = turns;
    this.#name = name;
  }

  /**
   * Copies `into.length` bytes of guest memory at `iova`.
   * @throws `MdevError` `EFAULT`, `EINVAL` or `ECANCELED`, or the signal's reason, see {@link DeviceDma}.
   */
  read(iova: bigint, into: Uint8Array, options: TransferOptions = {}): Promise<void> {
    return this.#transfer(false, iova, into, options, this.#turns.client);
  }

  /**
   * Copies `from` to guest memory at `iova`. `from` must not change until the promise settles.
   * @throws As {@link read}.
   */
  write(iova: bigint, from: Uint8Array, options: TransferOptions = {}): Promise<void> {
    return this.#transfer(true, iova, from, options, this.#turns.client);
  }

  /**
   * Copies `length` bytes of guest memory, lowest address first: what an overlapping copy gives is what that order
   * gives, 64 KiB at a time.
   * @param length Bytes.
   * @throws As {@link read}.
   */
  async copy(source: bigint, destination: bigint, length: number, options: TransferOptions = {}): Promise<void> {
    checkRange(source, length);
    checkRange(destination, length);
    const piece = new Uint8Array(Math.min(PIECE, length));
    const { client } = this.#turns;
    for (let done = 0; done < length; done += PIECE) {
      const part = piece.subarray(0, Math.min(PIECE, length - done));
      await this.#transfer(false, source + BigInt(done), part, options, client);
      await this.#transfer(true, destination + BigInt(done), part, options, client);
    }
  }

  async #transfer(
    write: boolean,
    iova: bigint,
    bytes: Uint8Array,
    options: TransferOptions,
    client: number,
  ): Promise<void> {
    checkRange(iova, bytes.length);
    for (let done = 0; done < bytes.length;) {
      options.signal?.throwIfAborted();
      if (this.#life.aborted) throw new MdevError('ECANCELED', 'the instance is gone');
      if (client !== this.#turns.client) throw new MdevError('ECANCELED', 'the client is gone');
      const address = iova + BigInt(done);
      let part = bytes.subarray(done, Math.min(done + PIECE, bytes.length));
      let error = this.#copy(write, address, part);
      if (error === NEEDS_MESSAGE) {
        // Map by map: the client is asked for what it has mapped so, and for nothing beside it.
        part = part.subarray(0, this.#core.dmaExtent(write, address, part.length));
        error = await this.#piece(write, address, part);
      }
      if (error !== 0) throw this.#error(write, address, part.length, error);
      done += part.length;
      if (this.#turns.copied(part.length)) await this.#turns.others();
    }
  }

  #error(write: boolean, iova: bigint, length: number, errno: number): MdevError {
    const what = `${write ? 'write to' : 'read of'} ${this.#name} [0x${iova.toString(16)}, +${length})`;
    return CANCELED.includes(errno)
      ? new MdevError('ECANCELED', `${what} was canceled`)
      : new MdevError('EFAULT', `${what} failed with ${errnoName(errno)}`);
  }

  /** 0, an errno, or {@link NEEDS_MESSAGE}: a part of it may have been copied. */
  #copy(write: boolean, iova: bigint, part: Uint8Array): number {
    return write ? this.#core.dmaWrite(iova, part) : this.#core.dmaRead(iova, part);
  }

  /** Moves what lies in one map; resolves to 0 or an errno. */
  #piece(write: boolean, iova: bigint, part: Uint8Array): number | Promise<number> {
    const error = this.#copy(write, iova, part);
    if (error !== NEEDS_MESSAGE) return error;
    return new Promise((resolve) => {
      const refused = this.#core.dmaTransfer(write, iova, part, resolve);
      if (refused !== 0) resolve(refused);
    });
  }
}

function checkRange(iova: bigint, length: number): void {
  if (iova < 0n || iova + BigInt(length) > ADDRESS_LIMIT) {
    throw new MdevError('EINVAL', `guest memory [0x${iova.toString(16)}, +${length}) is not within 64 bits`);
  }
}
