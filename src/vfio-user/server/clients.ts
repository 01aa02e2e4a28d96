import { closeFd, type DeviceCore } from '../../native/binding.ts';
import { coreOf } from '../../native/device-handle.ts';
import { closeClient, type ReceivedClient } from '../handover/saved-client.ts';
import { peerProcess } from '../native.ts';
import type { ServeOptions } from './serve-options.ts';
import { type ConnectionOwner, ServedConnection } from './served-connection.ts';
import type { ServedDevice } from './served-device.ts';
import type { ServerFeatures } from './version-negotiation.ts';

/** What clients tell their server of. Names are for messages. */
export interface ClientsOwner {
  /** A client holds the device. */
  connected(client: string): void;
  refused(client: string, message: string): void;
  failed(client: string, error: unknown): void;
  /** The client that held the device is gone; nobody else has been let to it yet. */
  left(client: string, reason: string): void;
  /** A client is gone. `held`: it was the one that held the device and has left it, and another may hold it by now. */
  closed(client: string, reason: string, held: boolean): void;
}

/** Clients at a time that do not hold the device: those that have not said VERSION yet, and those that are told that it is held. */
const WAITING_MAX = 16;
const NEGOTIATION_TIMEOUT_MS = 5_000;

/** The clients of one device: the one that holds it, and those that have not got that far. */
export class Clients {
  readonly #device: ServedDevice;
  readonly #core: DeviceCore;
  readonly #where: string;
  readonly #owner: ClientsOwner;
  readonly #negotiationTimeout: number;
  readonly #features: ServerFeatures;
  /** With the time that each has for its VERSION. */
  readonly #connections = new Map<ServedConnection, NodeJS.Timeout | undefined>();
  /** Those that ask again when the holder is gone. */
  readonly #asking = new Set<ServedConnection>();
  #holder: ServedConnection | undefined;

  /** @param where the server's place, for messages. */
  constructor(device: ServedDevice, where: string, options: ServeOptions, owner: ClientsOwner) {
    this.#device = device;
    this.#core = coreOf(device.handle);
    this.#where = where;
    this.#owner = owner;
    this.#negotiationTimeout = options.negotiationTimeout ?? NEGOTIATION_TIMEOUT_MS;
    this.#features = { writeMultiple: options.writeMultiple ?? false, twinSocket: options.twinSocket ?? true };
  }

  /** The client that holds the device. */
  get holder(): string | undefined {
    return this.#holder?.name;
  }

  get connections(): readonly ServedConnection[] {
    return [...this.#connections.keys()];
  }

  /** As many wait as may. */
  get isFull(): boolean {
    return this.#connections.size - (this.#holder === undefined ? 0 : 1) >= WAITING_MAX;
  }

  /** Takes `fd`, a connected socket, in every case. @throws Error with a `code` when it is none, or none any more; another when the device is closed. */
  admit(fd: number): void {
    const connection = new ServedConnection(this.#device, fd, this.#nameOf(fd), this.#connectionOwner, this.#features);
    this.#connections.set(connection, this.#negotiationTimer(connection));
  }

  /**
   * Lets in clients that another server has handed over. They are paused.
   *
   * @throws what is wrong with one of them; the descriptors of those that have not come that far are closed, the rest is for {@link abandon}.
   */
  restore(clients: readonly ReceivedClient[]): void {
    const left = new Set(clients);
    /** Duplicated by who uses them. */
    const ioFds: number[] = [];
    try {
      for (const client of clients) {
        left.delete(client);
        ioFds.push(...client.ioFds.flatMap(({ fds }) => fds));
        const name = this.#nameOf(client.fd);
        const connection = new ServedConnection(
          this.#device,
          client.fd,
          name,
          this.#connectionOwner,
          this.#features,
          client,
        );
        this.#connections.set(connection, undefined);
        if (connection.isHolder) this.#holder = connection;
      }
    } catch (error) {
      for (const client of left) closeClient(client);
      throw error;
    } finally {
      for (const fd of ioFds) closeFd(fd);
    }
  }

  /** Gives nobody less time because everything stands still. */
  stopTimers(): void {
    for (const timer of this.#connections.values()) clearTimeout(timer);
  }

  startTimers(): void {
    for (const connection of this.#connections.keys()) {
      if (!connection.isHolder) this.#connections.set(connection, this.#negotiationTimer(connection));
    }
  }

  close(reason: string): void {
    for (const connection of this.connections) connection.close(reason);
  }

  /** Ends all of them here without their noticing: another process has them. */
  abandon(): void {
    for (const connection of this.connections) connection.handedOver();
  }

  #negotiationTimer(connection: ServedConnection): NodeJS.Timeout {
    return setTimeout(() => {
      connection.close(`no VERSION within ${this.#negotiationTimeout} ms`);
    }, this.#negotiationTimeout);
  }

  /** Closes `fd` when it throws. */
  #nameOf(fd: number): string {
    try {
      return `vfio-user client of ${this.#where}, process ${peerProcess(fd)}`;
    } catch (error) {
      this.#core.closeForeignFd(fd);
      throw error;
    }
  }

  readonly #connectionOwner: ConnectionOwner = {
    mayHold: (connection) => {
      if (this.#holder === undefined) return true;
      if (!this.#holder.peerGone) return false;
      this.#asking.add(connection);
      return undefined;
    },
    holds: (connection) => {
      clearTimeout(this.#connections.get(connection));
      this.#holder = connection;
      this.#owner.connected(connection.name);
    },
    refused: (connection, message) => {
      this.#owner.refused(connection.name, message);
    },
    failed: (connection, error) => {
      this.#owner.failed(connection.name, error);
    },
    closed: (connection, reason) => {
      clearTimeout(this.#connections.get(connection));
      this.#connections.delete(connection);
      this.#asking.delete(connection);
      const held = connection === this.#holder;
      if (held) {
        this.#owner.left(connection.name, reason);
        this.#holder = undefined;
        const asking = [...this.#asking];
        this.#asking.clear();
        for (const other of asking) other.retry();
      }
      this.#owner.closed(connection.name, reason, held && !connection.isHandedOver);
    },
  };
}
