import { constants } from 'node:os';

import { closeFd, duplicateFd } from '../../native/binding.ts';
import { createChannel, type NativeChannel, peerUser } from '../native.ts';
import { HEADER_SIZE } from '../protocol/constants.ts';
import { decodeHeader, encodeMessage } from '../protocol/structures/index.ts';
import { HandoverError } from './handover-error.ts';
import { decodeRefusal, encodeBody, HandoverKind, kindName, type Refusal } from './messages.ts';

/** A message of the other side. Whoever has it closes its file descriptors. */
export interface PeerMessage {
  readonly kind: number;
  readonly body: Uint8Array;
  readonly fds: readonly number[];
}

const { ECONNRESET, ENOTCONN, EPIPE } = constants.errno;
/** What a socket says whose other side is not there, or reads no more. Everything else passes. */
const ENDED: readonly number[] = [ECONNRESET, ENOTCONN, EPIPE];
/** How often it is looked whether everything is sent, milliseconds. */
const FLUSH_LOOK_MS = 1;
/** The longest wait for what is told when it happens, milliseconds. */
const LONG_LOOK_MS = 60_000;

/** The other server, at the other end of a socket. One message after the other; a side that says something else than what is due is left. */
export class HandoverPeer {
  readonly #fd: number;
  readonly #channel: NativeChannel;
  /** For the last word of a side that has ended its reading. */
  #spare: number | undefined;
  readonly #received: PeerMessage[] = [];
  #closed: string | undefined;
  /** Several may wait: one to be told something, another for its refusal to be sent. */
  readonly #waiting = new Set<() => void>();
  #nextId = 0;

  /**
   * Takes `fd`, a connected UNIX stream socket, in every case.
   * @throws HandoverError `EACCES` when the other side is another user's; Error with a `code` for what is no such socket.
   */
  constructor(fd: number) {
    const user = userOf(fd);
    const own = process.geteuid?.();
    if (user !== own) {
      closeFd(fd);
      throw new HandoverError('EACCES', `the other side is user ${user}; expected ${String(own)}`);
    }
    this.#fd = fd;
    this.#channel = createChannel(fd, {
      message: (bytes, fds) => {
        const kind = decodeHeader(bytes)?.command ?? 0;
        this.#received.push({ kind, body: bytes.subarray(HEADER_SIZE), fds });
        this.#wake();
      },
      closed: (reason) => {
        this.#closed = reason;
        this.#wake();
      },
    });
  }

  /** Whether the other side is still there, as far as is known. */
  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Sends a message. `fds` stay the caller's, who keeps them open until then: they are duplicated. */
  send(kind: number, body: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): void {
    this.#channel.send(encodeMessage({ id: this.#nextId, command: kind }, body), fds);
    this.#nextId = (this.#nextId + 1) & 0xffff;
  }

  /**
   * The next message, which is of one of these kinds.
   * @param deadline by `performance.now()`.
   * @throws HandoverError `ECANCELED` when the other side refuses or has ended, `ETIMEDOUT`, `EIO` when it says something else.
   */
  async receive(kinds: readonly number[], deadline: number): Promise<PeerMessage> {
    const expected = kinds.map((kind) => kindName(kind)).join(' or ');
    while (this.#received.length === 0) {
      if (this.#closed !== undefined) {
        throw new HandoverError('ECANCELED', `the other side ended before it said ${expected}: ${this.#closed}`);
      }
      const left = deadline - performance.now();
      if (left <= 0) throw new HandoverError('ETIMEDOUT', `the other side did not say ${expected} in time`);
      await this.#change(left);
    }
    const [message] = this.#received.splice(0, 1);
    if (message === undefined) throw new HandoverError('EIO', 'nothing was received');
    if (kinds.includes(message.kind)) return message;
    for (const fd of message.fds) closeFd(fd);
    if (message.kind === HandoverKind.refuse) {
      throw refused(message);
    }
    throw new HandoverError('EIO', `the other side said ${kindName(message.kind)}; expected ${expected}`);
  }

  /**
   * Waits until the socket has taken everything.
   * @throws HandoverError `ECANCELED`, `ETIMEDOUT`.
   */
  async flushed(deadline: number): Promise<void> {
    while (this.isOpen && this.#channel.pending() > 0) {
      if (performance.now() >= deadline) throw new HandoverError('ETIMEDOUT', 'the other side does not read');
      await this.#change(FLUSH_LOOK_MS);
    }
    if (!this.isOpen) throw new HandoverError('ECANCELED', `the other side has ended: ${String(this.#closed)}`);
  }

  /**
   * Offers a message to the socket until that takes it.
   * @param body at most 4,000 bytes.
   * @returns true: the other side will find it. False: it never hears of it, because it has ended, or reads nothing of this side any more.
   * @throws HandoverError `ETIMEDOUT`; then the other side has not heard of it.
   */
  async offer(kind: number, deadline: number, body: Uint8Array = new Uint8Array(0)): Promise<boolean> {
    const message = encodeMessage({ id: this.#nextId, command: kind }, body);
    while (this.isOpen) {
      const error = this.#channel.sendNow(message);
      if (error === 0) return true;
      if (ENDED.includes(error)) return false;
      if (performance.now() >= deadline) throw new HandoverError('ETIMEDOUT', 'the other side does not read');
      await this.#change(FLUSH_LOOK_MS);
    }
    return false;
  }

  /** Keeps the descriptor that {@link hasSaid} needs, so that it fails only when the kernel has no memory left. @throws Error with a `code`, such as EMFILE. */
  prepareToDecide(): void {
    if (this.isOpen) this.#spare ??= duplicateFd(this.#fd);
  }

  /**
   * Decides whether the other side has said something: what it has not said by now it cannot say any more. If it has not, it finds a refusal, unless it has ended.
   * Nothing else can be heard or said afterwards.
   */
  async hasSaid(kind: number, refusal: Refusal): Promise<boolean> {
    if (this.isOpen) this.#channel.endReading();
    await this.ended(Infinity);
    if (this.#received.some((message) => message.kind === kind)) return true;
    this.#sayLast(encodeMessage({ id: this.#nextId, command: HandoverKind.refuse }, encodeBody(refusal)));
    return false;
  }

  /** Why the other side has refused, and goes on, once it has ended; undefined when it has not. */
  async refusal(): Promise<HandoverError | undefined> {
    await this.ended(Infinity);
    const message = this.#received.find(
      ({ body, kind }) => kind === HandoverKind.refuse && decodeRefusal(body).undecided !== true,
    );
    return message === undefined ? undefined : refused(message);
  }

  /** Waits until the other side has ended, or the deadline. */
  async ended(deadline: number): Promise<void> {
    for (let left = deadline - performance.now(); this.isOpen && left > 0; left = deadline - performance.now()) {
      await this.#change(Math.min(left, LONG_LOOK_MS));
    }
  }

  /** Tells the other side why it does not come to a handover, if it still listens, and closes. */
  async refuse(reason: string, deadline: number): Promise<void> {
    if (this.isOpen) {
      this.send(HandoverKind.refuse, encodeBody({ reason }));
      await this.flushed(deadline).catch(() => undefined);
    }
    this.close();
  }

  close(): void {
    this.#channel.close('the handover is over');
    if (this.#spare !== undefined) closeFd(this.#spare);
    this.#spare = undefined;
    for (const { fds } of this.#received.splice(0)) for (const fd of fds) closeFd(fd);
  }

  /** Behind the end of the channel. There is room: the other side has read all but the few short words behind the image. */
  #sayLast(message: Uint8Array): void {
    if (this.#spare === undefined) return;
    // Taken in every case.
    const fd = this.#spare;
    this.#spare = undefined;
    const channel = createChannel(fd, { message: () => undefined, closed: () => undefined });
    channel.sendNow(message);
    channel.close('the last word is said');
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when something has happened, or after a time in milliseconds. */
  async #change(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#waiting.add(wake);
    });
  }
}

function refused({ body }: PeerMessage): HandoverError {
  return new HandoverError('ECANCELED', `the other side refuses: ${decodeRefusal(body).reason}`);
}

function userOf(fd: number): number {
  try {
    return peerUser(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}
