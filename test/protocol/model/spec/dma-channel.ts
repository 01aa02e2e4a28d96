import type { DirtyLog } from './dirty-log.ts';
import { Command, Errno, Flag, type Header, joined, long, longs, message } from './wire.ts';

const { EFAULT } = Errno;
const ECANCELED = 125;
/** Decision 6: what may be on the wire at a time. */
const MESSAGES = 16;
const BYTES = 256 * 1024;

/** Memory that the device wants to reach by message. */
interface Request {
  readonly write: boolean;
  readonly address: bigint;
  readonly data: Uint8Array;
  readonly done: (errno: number) => void;
  sent: number;
  answered: number;
}

/** A DMA_READ or DMA_WRITE on the wire. Its id is the server's choice: requests are numbered in their order. */
interface Piece {
  readonly number: number;
  readonly request: Request;
  readonly write: boolean;
  readonly address: bigint;
  readonly from: number;
  readonly count: number;
  /** Nobody waits for its answer any more. */
  cancelled: boolean;
}

/** What the server asks its client. */
export class DmaChannel {
  /** Messages in their order, with an id of 0. */
  readonly sent: Uint8Array[] = [];
  #queue: Request[] = [];
  #pieces: Piece[] = [];
  #numbers = 0;
  maxTransfer = 1;
  readonly #dirty: DirtyLog;

  constructor(dirty: DirtyLog) {
    this.#dirty = dirty;
  }

  submit(write: boolean, address: bigint, data: Uint8Array, done: (errno: number) => void): void {
    this.#queue.push({ write, address, data, done, sent: 0, answered: 0 });
  }

  /** Sends what may be on the wire now. */
  fill(): void {
    for (const request of this.#queue) {
      while (request.sent < request.data.length) {
        const onWire = this.#pieces.filter(({ cancelled }) => !cancelled);
        const count = Math.min(request.data.length - request.sent, this.maxTransfer);
        const bytes = onWire.reduce((sum, piece) => sum + piece.count, 0);
        if (onWire.length === MESSAGES || bytes + count > BYTES) return;
        const { write, sent: from } = request;
        const address = request.address + BigInt(from);
        this.#pieces.push({ number: this.#numbers++, request, write, address, from, count, cancelled: false });
        const command = write ? Command.dmaWrite : Command.dmaRead;
        const data = write ? request.data.subarray(from, from + count) : new Uint8Array(0);
        this.sent.push(message({ id: 0, command, flags: 0, errno: 0 }, joined(longs(address, BigInt(count)), data)));
        request.sent += count;
      }
    }
  }

  /** Numbers of requests that the client owes an answer. */
  get owed(): readonly Piece[] {
    return this.#pieces;
  }

  /** An answer to request `number`; -1 for an id that no request has. @returns whether the connection can go on. */
  answer(number: number, header: Header, body: Uint8Array): boolean {
    const piece = this.#pieces.find((each) => each.number === number);
    if (piece === undefined) return false;
    if (header.command !== (piece.write ? Command.dmaWrite : Command.dmaRead)) return false;
    this.#pieces = this.#pieces.filter((each) => each !== piece);
    if (piece.cancelled) return true;
    // A client that failed may have written a part.
    if (piece.write) this.#dirty.wrote(piece.address, piece.count);
    const { request } = piece;
    if ((header.flags & Flag.error) !== 0) {
      this.#end(request, EFAULT);
      return true;
    }
    const fits =
      body.length === 16 + (piece.write ? 0 : piece.count) &&
      long(body, 0) === piece.address &&
      long(body, 8) === BigInt(piece.count);
    if (!fits) {
      this.#end(request, EFAULT);
      return false;
    }
    if (!piece.write) request.data.set(body.subarray(16), piece.from);
    request.answered += piece.count;
    if (request.answered === request.data.length) this.#end(request, 0);
    return true;
  }

  /** Ends requests that touch [first, last]. */
  cancel(first: bigint, last: bigint): void {
    for (const request of this.#queue.filter(
      ({ address, data }) => address <= last && address + BigInt(data.length) - 1n >= first,
    )) {
      this.#end(request, ECANCELED);
    }
  }

  #end(request: Request, errno: number): void {
    for (const piece of this.#pieces) {
      if (piece.request !== request || piece.cancelled) continue;
      piece.cancelled = true;
      // What is on its way may still be written.
      if (piece.write) this.#dirty.wrote(piece.address, piece.count);
    }
    this.#queue = this.#queue.filter((each) => each !== request);
    request.done(errno);
  }
}
