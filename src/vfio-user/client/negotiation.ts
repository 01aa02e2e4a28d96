import { isListening } from '../native.ts';
import { MAX_TRANSFER } from '../protocol/constants.ts';
import { DEFAULT_MESSAGE_FDS, DEFAULT_TRANSFER, type Version } from '../protocol/version.ts';
import { RequestChannel, type ServerRequestHandler } from './request-channel.ts';
import { versionQuestion } from './version.ts';

/** What a client and its server agreed on. Until they have, the specification's defaults hold. */
export class ClientNegotiation {
  readonly #channel: RequestChannel;
  readonly #handler: ServerRequestHandler;
  #version: Version | undefined;
  #maxTransfer = DEFAULT_TRANSFER;
  #maxMessageFds = DEFAULT_MESSAGE_FDS;

  /** @param handler answers what the server asks on a twin socket. */
  constructor(channel: RequestChannel, handler: ServerRequestHandler) {
    this.#channel = channel;
    this.#handler = handler;
  }

  /** What the server answered; undefined before that. */
  get version(): Version | undefined {
    return this.#version;
  }

  /** Bytes of data in one message. */
  get maxTransfer(): number {
    return this.#maxTransfer;
  }

  /** File descriptors that the server takes in one message, 1 or more. */
  get maxMessageFds(): number {
    return this.#maxMessageFds;
  }

  /** VERSION, with `offer` instead of the client's own. Rejects with a {@link VfioError}. */
  async negotiate(offer: Partial<Version>): Promise<Version> {
    const { twin, version } = await this.#channel.ask(versionQuestion(offer));
    this.#version = version;
    if (twin !== undefined) this.#openTwin(twin);
    this.#maxTransfer = Math.min(version.capabilities.max_data_xfer_size ?? DEFAULT_TRANSFER, MAX_TRANSFER);
    this.#maxMessageFds = Math.max(1, version.capabilities.max_msg_fds ?? DEFAULT_MESSAGE_FDS);
    return version;
  }

  /** From now on the server's own requests come here. Either connection ends with the other. */
  #openTwin(fd: number): void {
    try {
      isListening(fd);
    } catch {
      this.#channel.breakOff('the twin socket is no socket', [fd]);
      return;
    }
    const twin = new RequestChannel(fd, this.#handler);
    void this.#channel.closed.then(() => {
      twin.close('the connection has ended');
    });
    void twin.closed.then((reason) => {
      this.#channel.close(`the twin socket: ${reason}`);
    });
  }
}
