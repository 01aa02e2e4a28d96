import { closeFd } from '../native/binding.ts';
import { createChannel, type NativeChannel } from './native.ts';
import { HEADER_SIZE, MessageFlag } from './protocol.ts';
import { decodeHeader, encodeMessage, type Header } from './structures/index.ts';
import { VfioUserError } from './vfio-user-error.ts';

/** What a reply brought. */
export interface Reply {
  readonly body: Uint8Array;
  /** Whoever asked closes them. */
  readonly fds: readonly number[];
}

/** Answers the server's own requests. */
export interface ServerRequestHandler {
  /** Returns the reply's body, or an errno. */
  request(command: number, body: Uint8Array): Uint8Array | number;
}

interface Pending {
  readonly command: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: VfioUserError) => void;
}

const ID_COUNT = 65_536;

/** Requests and their replies on one connection, any number of them under way. */
export class RequestChannel {
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  readonly #channel: NativeChannel;
  readonly #handler: ServerRequestHandler;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #ended: string | undefined;

  /** Takes over `fd`, a connected socket. Throws an Error with a `code` when it is none. */
  constructor(fd: number, handler: ServerRequestHandler) {
    this.#handler = handler;
    let resolveClosed = (_reason: string): void => undefined;
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve;
    });
    this.#channel = createChannel(fd, {
      message: (bytes, fds) => {
        this.#receive(bytes, fds);
      },
      closed: (reason) => {
        this.#ended = reason;
        const pending = [...this.#pending.values()];
        this.#pending.clear();
        for (const { command, reject } of pending) reject(VfioUserError.disconnected(reason, command));
        resolveClosed(reason);
      },
    });
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /** Bytes that the socket has not taken yet. */
  get unsent(): number {
    return this.#channel.pending();
  }

  /** While paused, nothing of the server is read. */
  setPaused(paused: boolean): void {
    this.#channel.setPaused(paused);
  }

  /**
   * Sends a command and waits for its reply. With fds it is sent by a call of its own.
   *
   * @returns rejects with a {@link VfioUserError}.
   */
  request(command: number, body: Uint8Array, fds: readonly number[] = []): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(VfioUserError.disconnected(this.#ended, command));
        return;
      }
      const id = this.#freeId();
      if (id === undefined) {
        reject(new VfioUserError('EAGAIN', `${ID_COUNT} requests are under way`, command));
        return;
      }
      this.#pending.set(id, { command, resolve, reject });
      this.#channel.send(encodeMessage({ id, command }, body), fds);
    });
  }

  /** Sends a command that is not answered. Throws a {@link VfioUserError} when the connection has ended. */
  post(command: number, body: Uint8Array, fds: readonly number[] = []): void {
    this.send(encodeMessage({ id: this.#freeId() ?? 0, command, flags: MessageFlag.noReply }, body), fds);
  }

  /** Sends any bytes. Throws a {@link VfioUserError} when the connection has ended. */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (this.#ended !== undefined) throw VfioUserError.disconnected(this.#ended);
    this.#channel.send(bytes, fds);
  }

  /** Ends the connection. Requests under way are rejected. */
  close(reason: string): void {
    this.#channel.close(reason);
  }

  #freeId(): number | undefined {
    if (this.#pending.size >= ID_COUNT) return undefined;
    while (this.#pending.has(this.#nextId)) this.#nextId = (this.#nextId + 1) % ID_COUNT;
    const id = this.#nextId;
    this.#nextId = (id + 1) % ID_COUNT;
    return id;
  }

  #receive(bytes: Uint8Array, fds: readonly number[]): void {
    const header = decodeHeader(bytes);
    // The channel frames: there is a header, and its size is that of the message.
    if (header === undefined) return;
    const body = bytes.subarray(HEADER_SIZE);
    if ((header.flags & MessageFlag.typeMask) === MessageFlag.reply) {
      this.#receiveReply(header, body, fds);
      return;
    }
    for (const fd of fds) closeFd(fd);
    const answer = this.#handler.request(header.command, body);
    if ((header.flags & MessageFlag.noReply) !== 0 || !this.isOpen) return;
    const { id, command } = header;
    this.#channel.send(
      typeof answer === 'number'
        ? encodeMessage({ id, command, flags: MessageFlag.reply | MessageFlag.error, errno: answer })
        : encodeMessage({ id, command, flags: MessageFlag.reply }, answer),
      [],
    );
  }

  #receiveReply(header: Header, body: Uint8Array, fds: readonly number[]): void {
    const pending = this.#pending.get(header.id);
    if (pending?.command !== header.command) {
      for (const fd of fds) closeFd(fd);
      this.close(`a reply to a request that was not sent (id ${header.id}, command ${header.command})`);
      return;
    }
    this.#pending.delete(header.id);
    if ((header.flags & MessageFlag.error) === 0) {
      pending.resolve({ body, fds });
      return;
    }
    for (const fd of fds) closeFd(fd);
    pending.reject(VfioUserError.fromReply(header.command, header.errno));
  }
}
