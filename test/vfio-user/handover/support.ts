import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  type Client,
  connect,
  type HandOverOptions,
  HandoverError,
  type HandoverOffer,
  requestHandover,
  serve,
  type ServeOptions,
  type Server,
} from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { type Counter, counter, type CounterOptions } from '../../mdev/support/migratable.ts';

/** A counter, served at a path: the servers that take over from one another, and the clients, are all in this process. */
export class Relay implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'mdev-relay-'));
  readonly socketPath = join(this.directory, 'device.sock');
  counter: Counter;
  server: Server;
  readonly #clients: Client[] = [];
  readonly #counters: Counter[] = [];

  private constructor(first: Counter, options: ServeOptions) {
    this.counter = first;
    this.#counters.push(first);
    this.server = serve(first.device, { socketPath: this.socketPath }, options);
  }

  static async start(options: CounterOptions = {}, serveOptions: ServeOptions = {}): Promise<Relay> {
    return new Relay(await counter(options), serveOptions);
  }

  async client(): Promise<Client> {
    const client = await connect({ socketPath: this.socketPath });
    this.#clients.push(client);
    return client;
  }

  /** A counter that nobody serves yet. */
  async spare(options: CounterOptions = {}): Promise<Counter> {
    const spare = await counter(options);
    this.#counters.push(spare);
    return spare;
  }

  /** Another server takes over. Rejects with what the successor is told; then the one before goes on. */
  async handOver(options: CounterOptions = {}, handOver: HandOverOptions = {}): Promise<void> {
    const before = await this.leaveHusk(options, handOver);
    await before.device.close();
  }

  /** The same, and gives the counter that was handed over: it is still there. */
  async leaveHusk(options: CounterOptions = {}, handOver: HandOverOptions = {}): Promise<Counter> {
    return await this.handOverTo(await this.spare(options), handOver);
  }

  /** The same to a counter that {@link spare} has made. */
  async handOverTo(successor: Counter, handOver: HandOverOptions = {}): Promise<Counter> {
    const [near, far] = socketPair();
    const given = outcome(this.server.handOver(near, handOver));
    try {
      const server = await (await offered(far)).accept(successor.device);
      const problem = await given;
      if (problem !== undefined) throw problem;
      const before = this.counter;
      this.counter = successor;
      this.server = server;
      return before;
    } catch (error) {
      const problem = await given;
      if (problem === undefined) throw new Error('it was handed over, and not taken', { cause: error });
      await successor.device.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.server.close();
    for (const one of this.#counters) await one.device.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What a server offers at the other end of a socket. */
export async function offered(fd: number): Promise<HandoverOffer> {
  const offer = await requestHandover({ fd });
  if (offer === undefined) throw new Error('there is no offer');
  return offer;
}

/** Why it did not come to a handover; undefined when it did. */
export async function outcome(given: Promise<void>): Promise<HandoverError | undefined> {
  try {
    await given;
    return undefined;
  } catch (error) {
    if (error instanceof HandoverError) return error;
    throw error;
  }
}
