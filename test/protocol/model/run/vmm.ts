import { closeSync, openSync, readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import type { MdevDevice } from '../../../../src/mdev/index.ts';
import { closeFd } from '../../../../src/native/binding.ts';
import {
  eventfd,
  type EventFd,
  memoryFile,
  type MemoryFile,
  serve,
  type Server,
} from '../../../../src/vfio-user/index.ts';
import { createChannel, type NativeChannel, socketPair, connectSocket } from '../../../../src/vfio-user/native.ts';
import { State, type StreamLengths } from '../spec/migration.ts';
import { MAX_TRANSFER } from '../spec/wire.ts';
import { EVENTS, FILE_PAGES, type Handle } from '../spec/world.ts';
import { type Deeds, makeDevice } from './device.ts';

/** How long is waited for what must happen; milliseconds. What is missing in a sequence that is made shorter is missed soon. */
export const patience = { whole: 20_000, shorter: 150, now: 20_000 };

/** A message that arrived. */
export interface Arrived {
  readonly bytes: Uint8Array;
  /** Those that nobody took are closed with the socket. */
  readonly fds: number[];
}

/** One client's socket. */
export class Peer {
  readonly replies: Arrived[] = [];
  readonly requests: Arrived[] = [];
  ended = false;
  readonly #channel: NativeChannel;

  constructor(fd: number) {
    this.#channel = createChannel(fd, {
      message: (bytes, fds) => {
        const isReply = ((bytes[8] ?? 0) & 0xf) === 1;
        (isReply ? this.replies : this.requests).push({ bytes, fds: [...fds] });
      },
      closed: () => {
        this.ended = true;
      },
    });
  }

  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (!this.ended) this.#channel.send(bytes, fds);
  }

  close(): void {
    this.#channel.close('closed by the test');
    this.ended = true;
    for (const { fds } of this.replies) for (const fd of fds) closeFd(fd);
  }
}

/** The served device, and what a VMM has beside it. It is made once and used for every sequence. */
export class Vmm {
  readonly device: MdevDevice;
  readonly deeds: Deeds;
  readonly server: Server;
  readonly events: readonly EventFd[] = Array.from({ length: EVENTS }, () => eventfd());
  readonly files: readonly MemoryFile[] = FILE_PAGES.map((pages) => memoryFile(pages * 4096));
  /** What threw while a client was served. */
  readonly failures: unknown[] = [];
  /** How long the streams of its migrations are. */
  readonly lengths: StreamLengths;
  readonly #socketPath: string;
  readonly #readOnly: readonly number[];
  readonly #pipe: readonly [number, number] = socketPair();
  #holders = 0;

  private constructor(device: MdevDevice, deeds: Deeds, lengths: StreamLengths, socketPath: string) {
    this.lengths = lengths;
    this.device = device;
    this.deeds = deeds;
    this.#socketPath = socketPath;
    this.#readOnly = this.files.map(({ fd }) => openSync(`/proc/self/fd/${fd}`, 'r'));
    this.server = serve(device, { socketPath }, { writeMultiple: true, twinSocket: true });
    this.server.on('failed', (_client, error) => this.failures.push(error));
    this.server.on('connected', () => ++this.#holders);
    this.server.on('disconnected', () => --this.#holders);
  }

  static async of(socketPath: string): Promise<Vmm> {
    const { device, deeds } = await makeDevice();
    return new Vmm(device, deeds, await streamLengths(device), socketPath);
  }

  /** Whether a client holds the device. */
  get held(): boolean {
    return this.#holders > 0;
  }

  connect(): Peer {
    return new Peer(connectSocket(this.#socketPath));
  }

  descriptor(handle: Handle): number {
    if (handle.kind === 'event') return this.events[handle.index]?.fd ?? -1;
    if (handle.kind === 'other') return this.#pipe[0];
    return (handle.writable ? this.files[handle.index]?.fd : this.#readOnly[handle.index]) ?? -1;
  }

  /** The counter of an eventfd, which stays. */
  counter(event: number): number {
    return eventCount(this.events[event]?.fd ?? -1);
  }

  /** As it was when it was made: what a sequence left behind is gone. */
  renew(): void {
    this.device.reset('cold');
    for (const event of this.events) event.read();
    for (const file of this.files) new Uint8Array(file.buffer).fill(0);
    this.deeds.outcomes.clear();
    this.deeds.transfers = 0;
    this.failures.length = 0;
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.device.close();
    for (const event of this.events) event.close();
    for (const file of this.files) file.close();
    for (const fd of [...this.#readOnly, ...this.#pipe]) closeSync(fd);
  }
}

/** A migration shows how long its stream is. */
async function streamLengths(device: MdevDevice): Promise<StreamLengths> {
  const session = device.open({ name: 'measuring' });
  const bytes = async (): Promise<number> => {
    let sum = 0;
    for (let data = await session.readMigrationData(MAX_TRANSFER); data.length > 0;) {
      sum += data.length;
      data = await session.readMigrationData(MAX_TRANSFER);
    }
    return sum;
  };
  await session.setMigrationState(State.preCopy);
  const front = await bytes();
  await session.setMigrationState(State.stopCopy);
  const whole = front + (await bytes());
  await session.close();
  return { front, whole };
}

/** The counter of an eventfd, which stays. */
export function eventCount(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return Number.parseInt(/eventfd-count:\s*([0-9a-f]+)/.exec(text)?.[1] ?? '', 16);
}

/** Lets the event loop turn until it holds. False: it did not as long as {@link patience} lasted. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > patience.now) return false;
    await turn();
  }
  return true;
}
