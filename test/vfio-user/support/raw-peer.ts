import { closeFd } from '../../../src/native/binding.ts';
import { createChannel, type NativeChannel } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { decodeHeader, encodeMessage, type Header } from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';

/** A message that arrived. */
export interface Received {
  readonly header: Header;
  readonly body: Uint8Array;
  /** What came with it, if anything; closed with the peer. */
  readonly fds?: readonly number[];
}

/** One end of a stream that sends whatever it is told and keeps what arrives. */
export class RawPeer {
  /** What arrived and was not taken. */
  readonly received: Received[] = [];
  /** Why the stream ended. */
  reason: string | undefined;
  readonly channel: NativeChannel;
  readonly closed: Promise<string>;
  readonly #fds: number[] = [];
  #waiting: ((message: Received | undefined) => void) | undefined;

  constructor(fd: number) {
    let resolveClosed = (_reason: string): void => undefined;
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve;
    });
    this.channel = createChannel(fd, {
      message: (bytes, fds) => {
        this.#fds.push(...fds);
        const header = decodeHeader(bytes);
        if (header === undefined) throw new Error('a message without a header');
        const message = { header, body: bytes.subarray(16), ...(fds.length > 0 && { fds }) };
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting === undefined) this.received.push(message);
        else waiting(message);
      },
      closed: (reason) => {
        this.reason = reason;
        this.#waiting?.(undefined);
        resolveClosed(reason);
      },
    });
  }

  get isOpen(): boolean {
    return this.reason === undefined;
  }

  /** Sends bytes as they are; nothing once the stream has ended. */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (this.isOpen) this.channel.send(bytes, fds);
  }

  /** The next message, or undefined when the stream ended without one. */
  async next(): Promise<Received | undefined> {
    const message = this.received.shift();
    if (message !== undefined || !this.isOpen) return message;
    return await new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Sends a message and takes the next one that arrives. */
  async ask(
    header: Pick<Header, 'command'> & Partial<Header>,
    body?: Uint8Array,
    fds: readonly number[] = [],
  ): Promise<Received | undefined> {
    this.send(encodeMessage({ id: 7, ...header }, body), fds);
    return await this.next();
  }

  /** What came so far; whoever takes it closes it. */
  takeFds(): number[] {
    return this.#fds.splice(0);
  }

  /** Agrees on version 0.0 as QEMU does. */
  async negotiate(): Promise<void> {
    const body = writeVersion({ major: 0, minor: 0, capabilities: { max_msg_fds: 16, max_data_xfer_size: 1 << 20 } });
    const answer = await this.ask({ command: Command.version }, body);
    if (answer?.header.errno !== 0) throw new Error('the version was refused');
  }

  close(): void {
    this.channel.close('closed by the test');
    for (const fd of this.#fds.splice(0)) closeFd(fd);
  }
}

/** What an error reply looks like: a header, the type, the errno, and nothing else. */
export function errorReply(command: number, errno: number, id = 7): unknown {
  return {
    header: { id, command, size: 16, flags: MessageFlag.reply | MessageFlag.error, errno },
    body: new Uint8Array(0),
  };
}
