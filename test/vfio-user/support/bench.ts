import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { addon } from '../../../src/native/binding.ts';
import { type Client, connect, serve, type ServeOptions, type Server } from '../../../src/vfio-user/index.ts';
import { connectSocket } from '../../../src/vfio-user/native.ts';
import { RawPeer } from './raw-peer.ts';
import { TestDevice } from './test-device.ts';

/** A served test device, and ways to it. */
export class Bench implements AsyncDisposable {
  readonly device = new TestDevice();
  readonly directory = mkdtempSync(join(tmpdir(), 'mdev-vfio-user-'));
  readonly socketPath = join(this.directory, 'device.sock');
  readonly server: Server;
  /** "client: message", as the server told. */
  readonly refusals: string[] = [];
  readonly disconnections: string[] = [];
  /** What threw while a client was served. */
  readonly failures: unknown[] = [];
  readonly #clients: Client[] = [];
  readonly #peers: RawPeer[] = [];

  constructor(options: ServeOptions = {}) {
    this.server = serve(this.device, { socketPath: this.socketPath }, options);
    this.server.on('refused', (_client, message) => this.refusals.push(message));
    this.server.on('failed', (_client, error) => this.failures.push(error));
    this.server.on('disconnected', (_client, reason) => this.disconnections.push(reason));
  }

  /** A client that has not negotiated. */
  async connect(): Promise<Client> {
    const client = await connect({ socketPath: this.socketPath }, { negotiate: false });
    this.#clients.push(client);
    return client;
  }

  /** A client that holds the device. */
  async client(): Promise<Client> {
    const client = await this.connect();
    await client.negotiate();
    return client;
  }

  /** A stream without any manners. */
  peer(): RawPeer {
    return this.own(new RawPeer(connectSocket(this.socketPath)));
  }

  /** Closes `peer` in the end. */
  own(peer: RawPeer): RawPeer {
    this.#peers.push(peer);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    for (const peer of this.#peers) peer.close();
    await this.server.close();
    this.device[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const { drainClosers } = addon as { readonly drainClosers: () => boolean };

/** Descriptors that this process has open, without those that are about to be closed. */
export function openFiles(): number {
  if (!drainClosers()) throw new Error('a descriptor was not closed within 5 seconds');
  // Without the one that lists them.
  return readdirSync('/proc/self/fd').length - 1;
}

/** Lets the event loop turn until `condition` holds; throws when it does not within 2,000 turns and 60 seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const start = performance.now();
  for (let turns = 0; !condition(); ++turns) {
    if (turns > 2_000 && performance.now() - start > 60_000) throw new Error(`${what} did not happen`);
    await turn();
  }
}

/** Lets everything that is under way in this process arrive. */
export async function settle(turns = 6): Promise<void> {
  for (let i = 0; i < turns; ++i) await turn();
}
