import { resolve } from 'node:path';

import { EventEmitter } from 'eventemitter3';

import { deferred, type Deferred } from '../../mdev/base/deferred.ts';
import { guarded } from '../../mdev/base/guarded.ts';
import { messageOf } from '../../mdev/base/message-of.ts';
import { closeFd, type DeviceCore } from '../../native/binding.ts';
import { coreOf } from '../../native/device-handle.ts';
import { errnoOfError } from '../../native/errno.ts';
import { abandonDevice } from '../handover/abandon-device.ts';
import { checkHandOverOptions, giveAway, type HandOverOptions, refuseHandover } from '../handover/give.ts';
import { HandoverError } from '../handover/handover-error.ts';
import { closeClient, type ReceivedClient } from '../handover/saved-client.ts';
import { isListening } from '../native.ts';
import { ClientListener, type ClientListenerOwner } from './client-listener.ts';
import { Clients, type ClientsOwner } from './clients.ts';
import { HandoverSide } from './handover-side.ts';
import type { ServeAddress, ServeOptions } from './serve-options.ts';
import type { ServedDevice } from './served-device.ts';
import type { ServerEvents } from './server-events.ts';

/** What another server has handed over. */
export interface RestoredServer {
  /** The listening socket. */
  readonly listener: number | undefined;
  readonly clients: readonly ReceivedClient[];
}

/** Serves one device to one client at a time, and stays up between clients. Made by {@link serve}. */
export class Server extends EventEmitter<ServerEvents> implements AsyncDisposable {
  /** Resolves when the server is closed: by `close`, because its only client is gone, or because a client came when the device was closed. */
  readonly closed: Promise<void>;
  readonly #device: ServedDevice;
  readonly #core: DeviceCore;
  readonly #where: string;
  readonly #ended: Deferred = deferred();
  readonly #clients: Clients;
  readonly #listener: ClientListener | undefined;
  readonly #handover: HandoverSide;
  #isClosed = false;
  #isHandingOver = false;
  #isHandedOver = false;
  #hasEnded = false;

  /**
   * @internal
   * @param restored what another server has handed over: paused until `begin`. Its descriptors are taken, also when this throws.
   */
  constructor(device: ServedDevice, address: ServeAddress, options: ServeOptions, restored?: RestoredServer) {
    super();
    this.closed = this.#ended.promise;
    this.#device = device;
    this.#core = coreOf(device.handle);
    this.#where = 'fd' in address ? `file descriptor ${address.fd}` : address.socketPath;
    this.#clients = new Clients(device, this.#where, options, this.#clientsOwner);
    this.#listener =
      restored === undefined
        ? this.#listen(address)
        : this.#takeListener(restored, 'fd' in address ? undefined : address.socketPath);
    this.#handover = new HandoverSide({
      device,
      socketPath: 'fd' in address ? undefined : resolve(address.socketPath),
      clients: this.#clients,
      listener: this.#listener,
      resume: () => {
        if (!this.#isClosed) this.#takeClients();
      },
      close: (reason) => {
        this.#close(reason);
      },
      handedOver: () => {
        this.#isHandedOver = true;
        this.abandon(() => this.emit('handedOver'));
      },
    });
    if (restored !== undefined) this.#restore(restored.clients);
    else if (this.#listener === undefined && 'fd' in address) this.#clients.admit(address.fd);
  }

  /** The client that holds the device, for messages; undefined when there is none. */
  get client(): string | undefined {
    return this.#clients.holder;
  }

  /** Whether it serves nobody any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether another process has taken over. */
  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  /**
   * Stops listening and closes the clients' connections. The device is untouched. Idempotent. Resolves when nobody holds the device any more: when no engine
   * is in the memory of the client that did.
   */
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
   * When it is done this server is closed, and the device is a husk: nobody holds it, it reaches nothing of its guest, and it stays suspended. Close it.
   *
   * @param fd the socket, which is taken in every case.
   * @throws {@link HandoverError} when it does not come about; this server goes on then as if nothing had been. `MdevError` `EINVAL` for an option out of
   * range.
   */
  async handOver(fd: number, options: HandOverOptions = {}): Promise<void> {
    try {
      checkHandOverOptions(options);
    } catch (error) {
      await refuseHandover(fd, messageOf(error));
      throw error;
    }
    if (this.#isHandingOver || this.#isClosed) {
      const reason = this.#isClosed ? 'the server is closed' : 'another handover is under way';
      await refuseHandover(fd, reason);
      throw new HandoverError('EBUSY', reason);
    }
    this.#isHandingOver = true;
    try {
      await giveAway(this.#handover, fd, options);
    } finally {
      this.#isHandingOver = false;
    }
  }

  /**
   * Begins to serve what was restored.
   * @internal
   */
  begin(): void {
    for (const connection of this.#clients.connections) connection.resume();
    this.#takeClients();
  }

  /**
   * Closes without any client's noticing, and tells of it then. The device lets go of what it has of the clients.
   * @internal
   */
  abandon(tell: () => unknown = () => undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = this.#hasEnded = true;
    this.#listener?.abandon();
    this.#clients.abandon();
    abandonDevice(this.#device);
    this.#ended.resolve();
    // A listener's error is no reason for a handover to have failed.
    guarded(tell);
    guarded(() => this.emit('closed'));
  }

  /** Undefined for a socket that is connected already. */
  #listen(address: ServeAddress): ClientListener | undefined {
    if (!('fd' in address)) return new ClientListener(this.#core, this.#listenerOwner, address.socketPath);
    return isListening(address.fd) ? new ClientListener(this.#core, this.#listenerOwner, address.fd) : undefined;
  }

  #takeListener({ clients, listener: fd }: RestoredServer, ownPath: string | undefined): ClientListener | undefined {
    if (fd === undefined) return undefined;
    try {
      const listener = new ClientListener(this.#core, this.#listenerOwner, fd, ownPath);
      listener.pause();
      return listener;
    } catch (error) {
      closeFd(fd);
      for (const client of clients) closeClient(client);
      throw error;
    }
  }

  #restore(clients: readonly ReceivedClient[]): void {
    try {
      this.#clients.restore(clients);
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** After everything stood still. */
  #takeClients(): void {
    this.#clients.startTimers();
    this.#listener?.resume();
  }

  #close(reason: string): void {
    if (this.#isClosed || this.#handover.postpones(reason)) return;
    this.#isClosed = true;
    this.#handover.closed(reason);
    this.#listener?.close();
    this.#clients.close(reason);
    this.#end();
  }

  /** When it is closed and all clients are gone: one whose memory is slow to come lets go of the device later. */
  #end(): void {
    if (!this.#isClosed || this.#hasEnded || this.#clients.connections.length > 0) return;
    this.#hasEnded = true;
    this.#ended.resolve();
    this.emit('closed');
  }

  #accept(fd: number): void {
    if (this.#clients.isFull) {
      this.#core.closeForeignFd(fd);
      this.#listener?.restWhenBehind();
      return;
    }
    try {
      this.#clients.admit(fd);
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

  get #listenerOwner(): ClientListenerOwner {
    return {
      connection: (fd) => {
        this.#accept(fd);
      },
      acceptFailed: (code) => {
        this.emit('acceptFailed', code);
      },
    };
  }

  get #clientsOwner(): ClientsOwner {
    return {
      connected: (client) => {
        this.emit('connected', client);
      },
      refused: (client, message) => {
        this.emit('refused', client, message);
      },
      failed: (client, error) => {
        this.emit('failed', client, error);
      },
      left: (client, reason) => {
        this.#handover.interrupt(`${client} went: ${reason}`);
      },
      closed: (client, reason, held) => {
        try {
          if (held) this.emit('disconnected', client, reason);
          this.#listener?.restWhenBehind();
        } finally {
          // A listener that throws keeps nobody from hearing the end.
          if (this.#listener === undefined) this.#close('the client is gone');
          this.#end();
        }
      },
    };
  }
}
