import { VfioError } from '../../mdev/index.ts';
import { createChannel, type NativeChannel } from '../native.ts';
import { commandName, HEADER_SIZE, MessageFlag } from '../protocol/constants.ts';
import { decodeHeader, encodeMessage, type Header } from '../protocol/structures/index.ts';
import { disconnected } from './replies.ts';

/** What a reply brought. */
export interface Reply {
  readonly body: Uint8Array;
  /** Whoever asked closes them, with {@link RequestChannel.closeFd}. */
  readonly fds: readonly number[];
}

/** What a request is, and what its reply must be. */
export interface Question<T> {
  readonly command: number;
  readonly body: Uint8Array;
  /** File descriptors to be sent with it (duplicated), by a call of its own. */
  readonly fds?: readonly number[];
  /** File descriptors that the reply may bring; 0 when absent. */
  readonly replyFds?: number;
  /** Makes the answer of a reply, which owns the reply's fds then. Undefined: the reply makes no sense. Never throws. */
  readonly decode: (reply: Reply) => T | undefined;
}

/** Answers the server's own requests. */
export interface ServerRequestHandler {
  /** Returns the reply's body, or an errno. Never throws. */
  request(command: number, body: Uint8Array): Uint8Array | number;
}

interface Pending {
  readonly command: number;
  readonly replyFds: number;
  /** False: the reply makes no sense. */
  readonly resolve: (reply: Reply) => boolean;
  readonly reject: (error: VfioError) => void;
}

const ID_COUNT = 65_536;

/**
 * Requests and their replies on one connection, any number of them under way. A server that breaks the protocol (a reply that was not asked for or makes
 * no sense, file descriptors where none belong) is cut off: everything under way is rejected with `EPROTO`, and its descriptors are closed. One that asks
 * and does not read the answers is not read either, beyond 2 MiB of them.
 */
export class RequestChannel {
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  readonly #channel: NativeChannel;
  readonly #handler: ServerRequestHandler;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #ended: string | undefined;
  #brokeProtocol = false;

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
        for (const { command, reject } of pending) reject(this.#endedError(command));
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

  /**
   * Sends a command and waits for what its reply means.
   *
   * @returns rejects with a {@link VfioError}.
   */
  ask<T>(question: Question<T>): Promise<T> {
    const { body, command, decode, fds = [], replyFds = 0 } = question;
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#endedError(command));
        return;
      }
      const id = this.#freeId();
      if (id === undefined) {
        const name = commandName(command);
        reject(new VfioError('EAGAIN', `${name}: ${ID_COUNT} requests are under way`, name));
        return;
      }
      try {
        this.#channel.send(encodeMessage({ id, command }, body), fds);
      } catch (error) {
        // A descriptor that is none, or too many of them: nothing was sent.
        reject(VfioError.ofSystem(error, commandName(command)));
        return;
      }
      this.#pending.set(id, {
        command,
        replyFds,
        resolve: (reply) => {
          const answer = decode(reply);
          if (answer !== undefined) resolve(answer);
          else reject(this.#protocolError(command, 'cannot be understood'));
          return answer !== undefined;
        },
        reject,
      });
    });
  }

  /** {@link ask} when the reply says nothing. */
  async tell(command: number, body: Uint8Array, fds: readonly number[] = []): Promise<void> {
    await this.ask({ command, body, fds, decode: () => true });
  }

  /** {@link ask} for any reply, with any file descriptors. */
  request(command: number, body: Uint8Array, fds: readonly number[] = []): Promise<Reply> {
    return this.ask({ command, body, fds, replyFds: Infinity, decode: (reply) => reply });
  }

  /** Sends a command that is not answered. Throws a {@link VfioError} when the connection has ended. */
  post(command: number, body: Uint8Array, fds: readonly number[] = []): void {
    this.send(encodeMessage({ id: this.#freeId() ?? 0, command, flags: MessageFlag.noReply }, body), fds);
  }

  /** Sends any bytes. Throws a {@link VfioError} when the connection has ended. */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (this.#ended !== undefined) throw this.#endedError();
    this.#channel.send(bytes, fds);
  }

  /** Closes a descriptor that came from the server, without waiting: close(2) may take as long as whoever made it likes. */
  closeFd(fd: number): void {
    this.#channel.closeFd(fd);
  }

  /** Ends the connection. Requests under way are rejected. */
  close(reason: string): void {
    this.#channel.close(reason);
  }

  /** Ends the connection because of what the server sent; what is under way is rejected with `EPROTO`. Closes `fds`. */
  breakOff(problem: string, fds: readonly number[]): void {
    for (const fd of fds) this.closeFd(fd);
    this.#brokeProtocol = true;
    this.close(problem);
  }

  #endedError(command?: number): VfioError {
    const reason = this.#ended ?? '';
    if (!this.#brokeProtocol) return disconnected(reason, command);
    const name = command === undefined ? undefined : commandName(command);
    return new VfioError('EPROTO', `the server broke the protocol: ${reason}`, name);
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
      this.#receiveReply(header, { body, fds });
    } else if (fds.length > 0) {
      this.breakOff(`${fds.length} file descriptors with ${commandName(header.command)}`, fds);
    } else {
      this.#receiveRequest(header, body);
    }
  }

  #receiveRequest(header: Header, body: Uint8Array): void {
    const answer = this.#handler.request(header.command, body);
    if ((header.flags & MessageFlag.noReply) !== 0 || !this.isOpen) return;
    const { command, id } = header;
    this.#channel.answer(
      typeof answer === 'number'
        ? encodeMessage({ id, command, flags: MessageFlag.reply | MessageFlag.error, errno: answer })
        : encodeMessage({ id, command, flags: MessageFlag.reply }, answer),
    );
  }

  #receiveReply(header: Header, reply: Reply): void {
    const { command, errno, flags, id } = header;
    const { fds } = reply;
    const name = commandName(command);
    const pending = this.#pending.get(id);
    if (pending?.command !== command) {
      this.breakOff(`a reply to a request that was not sent (id ${id}, ${name})`, fds);
      return;
    }
    const isError = (flags & MessageFlag.error) !== 0;
    if (fds.length > (isError ? 0 : pending.replyFds)) {
      this.breakOff(`${fds.length} file descriptors with the reply to ${name}`, fds);
      return;
    }
    this.#pending.delete(id);
    if (isError) pending.reject(VfioError.refused(name, errno));
    else if (!pending.resolve(reply)) this.breakOff(`the reply to ${name} cannot be understood`, fds);
  }

  #protocolError(command: number, problem: string): VfioError {
    const name = commandName(command);
    return new VfioError('EPROTO', `the server broke the protocol: the reply to ${name} ${problem}`, name);
  }
}
