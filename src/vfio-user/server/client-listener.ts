import type { DeviceCore } from '../../native/binding.ts';
import { createListener, type NativeListener } from '../native.ts';

const RETRY_MS = 100;

/** Who takes the clients that a listener gets. */
export interface ClientListenerOwner {
  /** A client has come: the socket is the owner's. */
  connection(fd: number): void;
  /** Clients cannot be accepted for now; `code` as in the server's event. */
  acceptFailed(code: string): void;
}

/** A listening socket that rests while this process cannot take more clients: they wait in the socket's queue meanwhile. */
export class ClientListener {
  readonly #core: DeviceCore;
  readonly #owner: ClientListenerOwner;
  readonly #native: NativeListener;
  #retry: NodeJS.Timeout | undefined;
  #isPaused = false;
  #isClosed = false;

  /**
   * @param where the path of a socket to make, or a socket that listens already.
   * @param ownPath the path of a socket that listens already, when it is this listener's to remove.
   * @throws Error with a `code`.
   */
  constructor(core: DeviceCore, owner: ClientListenerOwner, where: string | number, ownPath?: string) {
    this.#core = core;
    this.#owner = owner;
    const handler = {
      connection: (fd: number) => {
        owner.connection(fd);
      },
      // The process has too many open files, most likely.
      failed: (code: string) => {
        this.#rest(code);
      },
    };
    this.#native = createListener(where, handler, ownPath);
  }

  /** The socket, which stays the listener's. */
  get descriptor(): number {
    return this.#native.descriptor();
  }

  /** Accepts nobody until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#retry);
    this.#native.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#native.resume();
  }

  /** Each new client could leave more that cannot be closed. */
  restWhenBehind(): void {
    if (this.#core.isBehindOnClosing()) this.#rest('EBUSY');
  }

  /** Stops listening, and removes the socket's path. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#native.close();
  }

  /** Stops listening here: the socket is another process's. */
  abandon(): void {
    this.#native.disown();
    this.close();
  }

  #rest(code: string): void {
    if (this.#isClosed || this.#isPaused) return;
    clearTimeout(this.#retry);
    this.#native.pause();
    this.#retry = setTimeout(() => {
      if (this.#core.isBehindOnClosing()) this.#rest('EBUSY');
      else this.#native.resume();
    }, RETRY_MS);
    this.#owner.acceptFailed(code);
  }
}
