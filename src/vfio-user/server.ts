import { resolve } from 'node:path';

import { EventEmitter } from 'eventemitter3';

import type { DeviceCore } from '../native/binding.ts';
import { guarded } from '../mdev/guarded.ts';
import { closeFd } from '../native/binding.ts';
import { coreOf } from '../native/device-handle.ts';
import { errnoOfError } from '../native/errno.ts';
import { type HandOverOptions, giveAway } from './handover/give.ts';
import { HandoverError } from './handover/handover-error.ts';
import type { HandoverSubject } from './handover/handover-subject.ts';
import { closeClient, type ReceivedClient } from './handover/saved-client.ts';
import { createListener, isListening, type ListenerHandler, type NativeListener, peerProcess } from './native.ts';
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
  /** Another process has taken over (`handOver`); `closed` follows. */
  handedOver: [];
  closed: [];
}

/** What another server has handed over. */
export interface RestoredServer {
  /** The listening socket. */
  readonly listener: number | undefined;
  readonly clients: readonly ReceivedClient[];
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
  readonly #socketPath: string | undefined;
  readonly #connections = new Map<ServedConnection, NodeJS.Timeout | undefined>();
  /** Clients that ask again when the holder is gone. */
  readonly #asking = new Set<ServedConnection>();
  readonly #listener: NativeListener | undefined;
  #holder: ServedConnection | undefined;
  #acceptRetry: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isHandingOver = false;
  #isHandedOver = false;
  /** Told when a client leaves, while everything is paused. */
  #left: ((reason: string) => void) | undefined;

  /**
   * @internal
   * @param restored what another server has handed over: paused until `begin`. Its descriptors are taken, also when this throws.
   */
  constructor(device: ServedDevice, address: ServeAddress, options: ServeOptions, restored?: RestoredServer) {
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
    this.#socketPath = 'fd' in address ? undefined : address.socketPath;
    if (restored !== undefined) {
      this.#listener = this.#takeListener(restored);
      this.#restore(restored.clients);
    } else if ('fd' in address && !isListening(address.fd)) {
      this.#serve(address.fd);
    } else {
      this.#listener = createListener('fd' in address ? address.fd : address.socketPath, this.#listening);
    }
  }

  /** The client that holds the device, for messages; undefined when there is none. */
  get client(): string | undefined {
    return this.#holder?.name;
  }

  /** Whether another process has taken over. */
  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  /** Stops listening and closes the clients' connections. The device is untouched. Idempotent. */
  close(): Promise<void> {
    this.#close('the server was closed');
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Hands the device over to the process at the other side of a connected UNIX stream socket, which has called `requestHandover`: clients with all
   * they have, the listening socket, and the device's state. Clients notice nothing but that an answer takes longer.
   *
   * When it is done this server is closed, and the device is a husk: close it, and touch no guest memory with it before that.
   *
   * @param fd the socket, which is taken in every case.
   * @throws {@link HandoverError} when it does not come about; this server goes on then as if nothing had been.
   */
  async handOver(fd: number, options: HandOverOptions = {}): Promise<void> {
    if (this.#isHandingOver || this.#isClosed) {
      closeFd(fd);
      throw new HandoverError('EBUSY', this.#isClosed ? 'the server is closed' : 'another handover is under way');
    }
    this.#isHandingOver = true;
    try {
      await giveAway(this.#subject(), fd, options);
    } finally {
      this.#isHandingOver = false;
    }
  }

  /**
   * Begins to serve what was restored.
   * @internal
   */
  begin(): void {
    for (const connection of this.#connections.keys()) connection.resume();
    this.#resumeListening();
  }

  /**
   * Closes without any client's noticing, and tells of it then. The hold on the device stays until that is closed.
   * @internal
   */
  abandon(tell: () => unknown = () => undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#acceptRetry);
    this.#listener?.disown();
    this.#listener?.close();
    for (const connection of [...this.#connections.keys()]) connection.handedOver();
    this.#resolveClosed();
    // A listener's error is no reason for a handover to have failed.
    guarded(tell);
    guarded(() => this.emit('closed'));
  }

  #subject(): HandoverSubject {
    const connections = (): readonly ServedConnection[] => [...this.#connections.keys()];
    const listener = this.#listener;
    return {
      device: this.#device,
      socketPath: this.#socketPath === undefined ? undefined : resolve(this.#socketPath),
      get connections() {
        return connections();
      },
      get listener() {
        return listener?.descriptor() ?? -1;
      },
      pause: (left) => {
        this.#left = left;
        clearTimeout(this.#acceptRetry);
        listener?.pause();
        for (const timer of this.#connections.values()) clearTimeout(timer);
      },
      resume: () => {
        this.#left = undefined;
        if (!this.#isClosed) this.#resumeListening();
      },
      handedOver: () => {
        this.#left = undefined;
        this.#isHandedOver = true;
        this.abandon(() => this.emit('handedOver'));
      },
    };
  }

  /** After a pause of everything. */
  #resumeListening(): void {
    for (const connection of this.#connections.keys()) {
      if (!connection.isHolder) this.#connections.set(connection, this.#negotiationTimer(connection));
    }
    this.#listener?.resume();
  }

  #takeListener({ clients, listener: fd }: RestoredServer): NativeListener | undefined {
    if (fd === undefined) return undefined;
    try {
      const listener = createListener(fd, this.#listening, this.#socketPath);
      listener.pause();
      return listener;
    } catch (error) {
      closeFd(fd);
      for (const client of clients) closeClient(client);
      throw error;
    }
  }

  #restore(clients: readonly ReceivedClient[]): void {
    const left = new Set(clients);
    /** Duplicated by who uses them. */
    const ioFds: number[] = [];
    try {
      for (const client of clients) {
        left.delete(client);
        ioFds.push(...client.ioFds.flatMap(({ fds }) => fds));
        const name = `vfio-user client of ${this.#where}, process ${this.#processOf(client.fd)}`;
        const connection = new ServedConnection(this.#device, client.fd, name, this.#owner, this.#features, client);
        this.#connections.set(connection, undefined);
        if (connection.isHolder) this.#holder = connection;
      }
    } catch (error) {
      for (const client of left) closeClient(client);
      this.abandon();
      throw error;
    } finally {
      for (const fd of ioFds) closeFd(fd);
    }
  }

  #close(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#left?.(reason);
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
    this.#connections.set(connection, this.#negotiationTimer(connection));
  }

  #negotiationTimer(connection: ServedConnection): NodeJS.Timeout {
    return setTimeout(() => {
      connection.close(`no VERSION within ${this.#negotiationTimeout} ms`);
    }, this.#negotiationTimeout);
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

  readonly #listening: ListenerHandler = {
    connection: (fd) => {
      this.#accept(fd);
    },
    failed: (code) => {
      this.#pauseListening(code);
    },
  };

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
      this.#left?.(`${connection.name} went: ${reason}`);
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
