import { memoryFile, type MemoryFile } from '../../../src/vfio-user/index.ts';
import { Command, DeviceFeature, DeviceFeatureFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeDeviceFeature, joined, longs, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import type { RawPeer } from '../../vfio-user/support/raw-peer.ts';

export const PAGE = 4096n;
/** The first page of a map with a file, and the number of its pages. */
export const FIRST = 0x10n;
const { get, set } = DeviceFeatureFlag;

/** A client whose device has `pages` pages of a file at {@link FIRST}, and as many without one at 0x10000. */
export class DirtyClient implements AsyncDisposable {
  readonly bench = new Bench();
  readonly pages: bigint;
  readonly peer: RawPeer;
  readonly #file: MemoryFile;

  private constructor(pages: bigint) {
    this.pages = pages;
    this.peer = this.bench.peer();
    this.#file = memoryFile(Number(pages * PAGE));
  }

  static async of(pages = 32n): Promise<DirtyClient> {
    const client = new DirtyClient(pages);
    await client.peer.negotiate();
    const map = (first: bigint): Uint8Array => joined(words(32, 3), longs(0n, first * PAGE, pages * PAGE));
    await client.peer.ask({ command: Command.dmaMap }, map(FIRST), [client.#file.fd]);
    await client.peer.ask({ command: Command.dmaMap }, map(0x10000n));
    return client;
  }

  /** @returns the errno. */
  start(pageSize: bigint, ...ranges: (readonly [bigint, bigint])[]): Promise<number> {
    const body = joined(longs(pageSize), words(ranges.length, 0), ...ranges.map((range) => longs(...range)));
    return this.#set(DeviceFeature.dmaLoggingStart, body);
  }

  stop(): Promise<number> {
    return this.#set(DeviceFeature.dmaLoggingStop, new Uint8Array(0));
  }

  async #set(feature: number, data: Uint8Array): Promise<number> {
    const reply = await this.peer.ask({ command: Command.deviceFeature }, encodeDeviceFeature(feature | set, data));
    return reply?.header.errno ?? -1;
  }

  /** The device writes a byte in the middle of each of these pages of the file's map. */
  write(...pages: number[]): void {
    for (const page of pages) {
      const errno = this.bench.device.core.dmaWrite((FIRST + BigInt(page)) * PAGE + 100n, Uint8Array.of(1));
      if (errno !== 0) throw new Error(`the write failed: ${errno}`);
    }
  }

  /** The bitmap as a number, or the errno's negative. Of the whole map when no range is given. */
  async report(pageSize: bigint, address = FIRST * PAGE, length = this.pages * PAGE, room?: number): Promise<bigint> {
    const size = Number((length === 0n || pageSize === 0n ? 0n : (length - 1n) / pageSize / 64n + 1n) * 8n);
    const flags = DeviceFeature.dmaLoggingReport | get;
    const body = encodeDeviceFeature(flags, longs(address, length, pageSize), room ?? 8 + 24 + size);
    const reply = await this.peer.ask({ command: Command.deviceFeature }, body);
    if (reply === undefined) throw new Error('no reply');
    if (reply.header.errno !== 0) return -BigInt(reply.header.errno);
    if (reply.body.length !== 8 + 24 + size) throw new Error(`a reply of ${reply.body.length} bytes`);
    return bits(reply.body.subarray(32));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
    this.#file.close();
  }
}

/** A bitmap as a number. */
export function bits(bitmap: Uint8Array): bigint {
  return bitmap.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** The number whose bits these are. */
export function setBits(...numbers: number[]): bigint {
  return numbers.reduce((value, bit) => value | (1n << BigInt(bit)), 0n);
}
