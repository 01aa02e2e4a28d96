import { constants } from 'node:os';

import type { NativeConnection } from '../../native.ts';
import { MAX_TRANSFER } from '../../protocol/constants.ts';
import {
  decodeRegionIoFds,
  encodeRegionIoFds,
  REGION_IO_FD_SIZE,
  REGION_IO_FDS_SIZE,
} from '../../protocol/structures/index.ts';
import type { ServedDevice } from '../served-device.ts';
import type { Answer } from './device-feature.ts';
import { answerWithFds, unlessRefused } from './refusal.ts';

const { EINVAL } = constants.errno;

type Bell = NonNullable<ServedDevice['ioEventFds']>[number];

/** The eventfds of a region that a client was given, in the order of the region's declaration. */
export interface SavedIoFds {
  readonly region: number;
  readonly fds: readonly number[];
}

/** Answers GET_REGION_IO_FDS. The eventfds are made when a client asks for them first, and are that client's. */
export class RegionIoFdsMessages {
  readonly #device: ServedDevice;
  readonly #native: NativeConnection;
  /** By region, the eventfds of its entries. */
  readonly #fds = new Map<number, number[]>();
  #unwatch: (() => void) | undefined;

  constructor(device: ServedDevice, native: NativeConnection) {
    this.#device = device;
    this.#native = native;
  }

  /**
   * EINVAL: no such region, or a malformed request.
   *
   * @param maxFds file descriptors that the client takes in one message: no more entries are shown.
   * @returns undefined when it has answered itself, with file descriptors.
   */
  answer(body: Uint8Array, maxFds: number): Answer | undefined {
    const request = decodeRegionIoFds(body);
    if (request?.flags !== 0 || request.count !== 0) return EINVAL;
    const { argsz, index } = request;
    if (argsz < REGION_IO_FDS_SIZE || argsz > MAX_TRANSFER) return EINVAL;
    if ((this.#device.regions[index]?.size ?? 0) === 0) return EINVAL;
    const bells = (this.#device.ioEventFds ?? []).filter(({ region }) => region === index).slice(0, maxFds);
    const needed = REGION_IO_FDS_SIZE + bells.length * REGION_IO_FD_SIZE;
    const front = { argsz: needed, flags: 0, index, count: bells.length };
    if (bells.length === 0 || argsz < needed) return encodeRegionIoFds(front);
    const fds = this.#fds.get(index) ?? [];
    this.#fds.set(index, fds);
    // What was made before one that cannot be is kept for the next request.
    for (const bell of bells.slice(fds.length)) {
      const errno = unlessRefused(() => void fds.push(this.#create(bell)));
      if (errno !== undefined) return errno;
    }
    const entries = bells.map((bell, n) => ({ ...bell, fdIndex: n }));
    return answerWithFds(this.#native, encodeRegionIoFds(front, entries), fds);
  }

  /** The eventfds that the client was given, by region; they stay the connection's. */
  saved(): readonly SavedIoFds[] {
    return [...this.#fds].map(([region, fds]) => ({ region, fds: [...fds] }));
  }

  /**
   * Takes the place of another process's. The descriptors stay the caller's.
   * @throws Error when there are more than the device has.
   */
  restore(saved: readonly SavedIoFds[]): void {
    for (const { region, fds } of saved) {
      const bells = (this.#device.ioEventFds ?? []).filter((bell) => bell.region === region);
      const own = fds.map((fd, index) => {
        const bell = bells[index];
        if (bell === undefined) throw new RangeError(`region ${region} has ${bells.length} ioeventfds`);
        return this.#create(bell, fd);
      });
      this.#fds.set(region, own);
    }
  }

  /** The connection has ended. */
  end(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  #create(bell: Bell, fd?: number): number {
    // Before there is one: a device that has stopped hears none until it runs.
    this.#unwatch ??= this.#device.watchPaused?.((paused) => {
      this.#native.holdIoEventFds(paused);
    });
    const value = new Uint8Array(8);
    new DataView(value.buffer).setBigUint64(0, bell.datamatch ?? 0n, true);
    return this.#native.ioEventFd(bell.region, bell.offset, value.subarray(0, bell.size), fd);
  }
}
