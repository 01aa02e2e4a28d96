import { EventEmitter } from 'eventemitter3';

import type { DeviceCore } from '../native/binding.ts';
import { coreOf } from '../native/device-handle.ts';
import { errnoOfError } from '../native/errno.ts';
import { createListener, isListening, type NativeListener, peerProcess } from './native.ts';
import { type ConnectionOwner, ServedConnection } from './served-connection.ts';
import type { ServedDevice } from './served-device.ts';
import type { ServerFeatures } from './version-negotiation.ts';

/** Where clients come from. */
export type ServeAddress =
  /** The path of a socket to be created, at most 107 bytes. It is removed when the server closes. */
  | { readonly socketPath: string }
  /**
   * An inherited UNIX stream socket, which the server owns from now on. One that listens serves client after client; one that is connected
   * serves that client, and the server closes with it.
   */
  | { readonly fd: number };

/** How a server treats its clients. */
export interface ServeOptions {
  /** How long a client may stay silent before its VERSION message, in milliseconds. 5,000 when absent. */
  readonly negotiationTimeout?: number;
  /**
   * Accept REGION_WRITE_MULTI, many small writes in one message, from clients that offer it. False when absent, because QEMU (up to 11.1 at
   * least) offers it and then delays writes when it is accepted.
   */
  readonly writeMultiple?: boolean;
  /** Give clients that ask for it a second socket for DMA_READ and DMA_WRITE. True when absent. */
  readonly twinSocket?: boolean;
}

/** What a server tells. */
export interface ServerEvents {
  /** A client holds the device. */
  connected: [client: string];
  /** That client is gone, and why. */
  disconnected: [client: string, reason: string];
  /** A message was refused; told once for each command of a client. */
  refused: [client: string, message: string];
  /**
   * Something threw while a client was served: a device's code, or a listener of these events. The client's connection ends. Told of a client that
   * comes when the device is closed, too; then the server closes.
   */
  failed: [client: string, error: unknown];
  /**
   * Clients cannot be accepted for now (an errno's name); tried again soon. EMFILE: this process has too many open files. EBUSY: what earlier
   * clients of this device left open cannot be closed, because one of them keeps the kernel waiting.
   */
  acceptFailed: [code: string];
  closed: [];
}

/** Clients at a time that do not hold the device: those that have not said VERSION yet, and those that are told that it is held. */
const WAITING_MAX = 16;
const NEGOTIATION_TIMEOUT_MS = 5_000;
const ACCEPT_RETRY_MS = 100;

/** Serves one device to one client at a time, and stays up between clients. Made by {@link serve}. */
export class Server extends EventEmitter<ServerEvents> implements AsyncDisposable {
  /** Resolves when the server is closed: by `close`, because its only client is gone, or because a client came when the device was closed. */
  readonly closed: Promise<void>;
  readonly #device: ServedDevice;
  readonly #core: DeviceCore;
  readonly #where: string;
  readonly #negotiationTimeout: number;
  readonly #features: ServerFeatures;
  readonly #resolveClosed: () => void;
  readonly #connections = new Map<ServedConnection, NodeJS.Timeout>();
  /** Clients that ask again when the holder is gone. */
  readonly #asking = new Set<ServedConnection>();
  readonly #listener: NativeListener | undefined;
  #holder: ServedConnection | undefined;
  #acceptRetry: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @internal */
  constructor(device: ServedDevice, address: ServeAddress, options: ServeOptions) {
    super();
    this.#device = device;
    this.#core = coreOf(device.handle);
    this.#negotiationTimeout = options.negotiationTimeout ?? NEGOTIATION_TIMEOUT_MS;
    this.#features = { writeMultiple: options.writeMultiple ?? false, twinSocket: options.twinSocket ?? true };
    this.#where = 'fd' in address ? `file descriptor ${address.fd}` : address.socketPath;
    let resolveClosed = (): void => undefined;
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve;
    });
    this.#resolveClosed = resolveClosed;
    if ('fd' in address && !isListening(address.fd)) {
      this.#serve(address.fd);
    } else {
      this.#listener = createListener('fd' in address ? address.fd : address.socketPath, {
        connection: (fd) => {
          this.#accept(fd);
        },
        failed: (code) => {
          this.#pauseListening(code);
        },
      });
    }
  }

  /** The client that holds the device, for messages; undefined when there is none. */
  get client(): string | undefined {
    return this.#holder?.name;
  }

  /** Stops listening and closes the clients' connections. The device is untouched. Idempotent. */
  close(): Promise<void> {
    this.#close('the server was closed');
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #close(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener?.close();
    clearTimeout(this.#acceptRetry);
    for (const connection of [...this.#connections.keys()]) connection.close(reason);
    this.#resolveClosed();
    this.emit('closed');
  }

  #accept(fd: number): void {
    const waiting = this.#connections.size - (this.#holder === undefined ? 0 : 1);
    if (waiting >= WAITING_MAX) {
      this.#core.closeForeignFd(fd);
      this.#pauseWhenBehind();
      return;
    }
    try {
      this.#serve(fd);
    } catch (error) {
      // An errno: it hung up before it was looked at. Else the device is closed, and is no use to anybody any more.
      if (errnoOfError(error, 0) === 0) this.#deviceIsGone(error);
    }
  }

  #deviceIsGone(error: unknown): void {
    try {
      this.emit('failed', `vfio-user client of ${this.#where}`, error);
    } finally {
      this.#close('the device is closed');
    }
  }

  /** Takes `fd` in every case. */
  #serve(fd: number): void {
    const name = `vfio-user client of ${this.#where}, process ${this.#processOf(fd)}`;
    const connection = new ServedConnection(this.#device, fd, name, this.#owner, this.#features);
    const timer = setTimeout(() => {
      connection.close(`no VERSION within ${this.#negotiationTimeout} ms`);
    }, this.#negotiationTimeout);
    this.#connections.set(connection, timer);
  }

  #processOf(fd: number): number {
    try {
      return peerProcess(fd);
    } catch (error) {
      this.#core.closeForeignFd(fd);
      throw error;
    }
  }

  /** The process has too many open files, most likely: clients wait in the socket's queue meanwhile. */
  #pauseListening(code: string): void {
    if (this.#isClosed) return;
    clearTimeout(this.#acceptRetry);
    this.#listener?.pause();
    this.#acceptRetry = setTimeout(() => {
      if (this.#core.isBehindOnClosing()) this.#pauseListening('EBUSY');
      else this.#listener?.resume();
    }, ACCEPT_RETRY_MS);
    this.emit('acceptFailed', code);
  }

  /** Each new client could leave more that cannot be closed. */
  #pauseWhenBehind(): void {
    if (this.#core.isBehindOnClosing()) this.#pauseListening('EBUSY');
  }

  readonly #owner: ConnectionOwner = {
    mayHold: (connection) => {
      if (this.#holder === undefined) return true;
      if (!this.#holder.peerGone) return false;
      this.#asking.add(connection);
      return undefined;
    },
    holds: (connection) => {
      clearTimeout(this.#connections.get(connection));
      this.#holder = connection;
      this.emit('connected', connection.name);
    },
    refused: (connection, message) => {
      this.emit('refused', connection.name, message);
    },
    failed: (connection, error) => {
      this.emit('failed', connection.name, error);
    },
    closed: (connection, reason) => {
      clearTimeout(this.#connections.get(connection));
      this.#connections.delete(connection);
      this.#asking.delete(connection);
      const held = connection === this.#holder;
      if (held) {
        this.#holder = undefined;
        const asking = [...this.#asking];
        this.#asking.clear();
        for (const other of asking) other.retry();
      }
      try {
        if (held) this.emit('disconnected', connection.name, reason);
        this.#pauseWhenBehind();
      } finally {
        // A listener that throws keeps nobody from hearing the end.
        if (this.#listener === undefined) this.#close('the client is gone');
      }
    },
  };
}

/**
 * Serves a device over vfio-user, one client at a time. The server stays up between clients; a second one that comes while the device is held is
 * told EBUSY.
 *
 * The event loop stays alive until the server is closed.
 *
 * @throws Error with a `code` that names the path or descriptor: ENAMETOOLONG, EADDRINUSE (a live server answers at the path, or it is no
 * socket; a socket that nobody listens at any more is replaced), ENOENT, EACCES, EINVAL, ENOTCONN, EBADF.
 */
export function serve(device: ServedDevice, address: ServeAddress, options: ServeOptions = {}): Server {
  return new Server(device, address, options);
}
