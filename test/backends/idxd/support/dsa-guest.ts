import { expect } from 'vitest';

import { type EventFd, memoryFile, type MemoryFile } from '../../../../src/native/binding.ts';
import { MdevRegistry, type MdevDevice, type PlatformCapabilities } from '../../../../src/mdev/index.ts';
import { softwareDsa, type SoftwareDsaOptions } from '../../../../src/backends/idxd/index.ts';
import { Guest } from '../../../mdev/support/guest.ts';
import {
  ACTIVE,
  CMD,
  CMDCAP,
  CMDSTATUS,
  Code,
  GENCAP,
  GENCTRL,
  GENSTS,
  grpcfg,
  INTCAUSE,
  VERSION,
  wqcfg,
} from './offsets.ts';

export { CONFIG } from '../../../mdev/support/guest.ts';

/** Where guest memory begins, and how large it is. */
export const MEMORY_AT = 0x10_0000n;
const MEMORY_SIZE = 0x40_0000;
/** INTCAUSE: a command has ended. */
const COMMAND_CAUSE = 2;

/** An instance of a registry of its own. */
export async function dsaDevice(
  type: 'dsa-1dwq-v1' | 'dsa-1swq-v1' | 'dsa-cfg-v1',
  attributes: Readonly<Record<string, number | boolean | string>> = {},
  options: SoftwareDsaOptions = {},
  platform: Partial<PlatformCapabilities> = {},
): Promise<{ readonly device: MdevDevice; readonly registry: MdevRegistry }> {
  const registry = new MdevRegistry();
  registry.register(softwareDsa(options));
  return { registry, device: await registry.create({ parent: options.name ?? 'dsa0', type, attributes, platform }) };
}

/** A descriptor by its fields (DSA specification 8.1); everything else is 0. */
export interface Descriptor {
  readonly opcode: number;
  readonly flags?: number;
  readonly completion?: bigint;
  readonly source?: bigint;
  readonly destination?: bigint;
  readonly size?: number;
  readonly handle?: number;
}

/** Completion address valid, completion record and interrupt requested. */
export const Flag = { fence: 1, recordValid: 4, record: 8, interrupt: 16 } as const;

export function encode(descriptor: Descriptor): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, (descriptor.flags ?? 0) | (descriptor.opcode << 24), true);
  view.setBigUint64(8, descriptor.completion ?? 0n, true);
  view.setBigUint64(16, descriptor.source ?? 0n, true);
  view.setBigUint64(24, descriptor.destination ?? 0n, true);
  view.setUint32(32, descriptor.size ?? 0, true);
  view.setUint16(36, descriptor.handle ?? 0, true);
  return bytes;
}

/** A guest with memory and MSI-X that knows how a DSA driver behaves. */
export class DsaGuest extends Guest {
  readonly vectors: readonly EventFd[];
  readonly memory: Uint8Array;
  readonly #file: MemoryFile;
  #slot = 0;

  constructor(device: MdevDevice, vectors = 2) {
    super(device);
    this.vectors = this.enableMsix(vectors);
    this.#file = memoryFile(MEMORY_SIZE);
    this.memory = new Uint8Array(this.#file.buffer);
    this.#map(MEMORY_AT);
  }

  /** Maps the same memory once more at `address`, as often as `size` bytes, a multiple of its own, take. */
  mapAgain(address: bigint, size: number): void {
    for (let at = 0; at < size; at += MEMORY_SIZE) this.#map(address + BigInt(at));
  }

  #map(iova: bigint): void {
    this.session.sync.dmaMap({ iova, size: BigInt(MEMORY_SIZE), file: this.#file });
  }

  /** Writes CMD and polls CMDSTATUS as DPDK does: what has nothing in flight is done inside the write. */
  command(code: number, operand = 0): number {
    this.write32(CMD, (code << 20) | operand);
    return this.read32(CMDSTATUS);
  }

  /** Writes CMD and waits for its interrupt and cause, as Linux does, but not for ever. The cause stays set. */
  async commandWithInterrupt(code: number, operand = 0): Promise<number> {
    this.write32(INTCAUSE, COMMAND_CAUSE);
    this.vectors[0]?.read();
    const start = this.interrupt(0);
    this.write32(CMD, (0x8000_0000 | (code << 20) | operand) >>> 0);
    await start;
    while ((this.read32(INTCAUSE) & COMMAND_CAUSE) === 0) await this.interrupt(0);
    const status = this.read32(CMDSTATUS);
    if ((status & ACTIVE) !== 0) throw new Error('the cause is set before the end of the command');
    return status;
  }

  /** The next interrupt of a vector. */
  interrupt(vector: number): Promise<void> {
    const fd = this.vectors[vector];
    if (fd === undefined) throw new Error(`no vector ${vector}`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        fd.onSignal(null);
        reject(new Error(`no interrupt ${vector} within 60 s`));
      }, 60_000);
      fd.onSignal(() => {
        clearTimeout(timer);
        fd.onSignal(null);
        resolve();
      });
    });
  }

  /** Configures queues 0 to `sizes.length - 1`, all in group 0 with `engines`, and enables the device and them. */
  bringUp(sizes: readonly number[], engines = 1n): void {
    for (const [queue, size] of sizes.entries()) {
      this.write32(wqcfg(queue), size);
      this.write32(wqcfg(queue) + 8, 0xa1);
      this.write32(wqcfg(queue) + 12, 31 | (10 << 5));
    }
    this.write64(grpcfg(0), (1n << BigInt(sizes.length)) - 1n);
    this.write64(grpcfg(0) + 32, engines);
    this.enable(sizes.length);
  }

  /** Enables the device and its first queues. */
  enable(queues: number): void {
    const errors = [this.command(Code.enableDevice)];
    for (let queue = 0; queue < queues; queue++) errors.push(this.command(Code.enableWq, queue));
    if (errors.some((error) => error !== 0)) throw new Error(`enable: ${errors.join(', ')}`);
  }

  /** Stores a descriptor to the queue's limited portal, as eight 8-byte stores (QEMU) or at once. */
  submit(queue: number, descriptor: Descriptor, pieces = 8): void {
    const bytes = encode(descriptor);
    const at = queue * 0x4000 + 0x1000 + 64 * (this.#slot++ % 64);
    for (let done = 0; done < 64; done += 64 / pieces) {
      this.session.sync.writeRegion(2, at + done, bytes.subarray(done, done + 64 / pieces), { posted: true });
    }
  }

  /** Status byte of a completion record. */
  status(address: bigint): number {
    return this.memory[Number(address - MEMORY_AT)] ?? 0;
  }

  /** Bytes of guest memory. */
  at(address: bigint, length: number): Uint8Array {
    const start = Number(address - MEMORY_AT);
    return this.memory.subarray(start, start + length);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#file.close();
  }
}

const registries: MdevRegistry[] = [];

/** A guest on an instance with eventfds for all of its vectors. */
export async function dsaGuest(...parameters: Parameters<typeof dsaDevice>): Promise<DsaGuest> {
  const { device, registry } = await dsaDevice(...parameters);
  registries.push(registry);
  return new DsaGuest(device, device.irqs[2]?.count ?? 0);
}

/** Closes what {@link dsaGuest} made; for `afterEach`. */
export async function closeRegistries(): Promise<void> {
  for (const registry of registries.splice(0)) await registry.close();
}

/** What Linux's idxd does at probe, up to the first sleep. */
export function probe(guest: DsaGuest, version = 0x100): void {
  expect(guest.read32(VERSION)).toBe(version);
  expect(guest.read32(GENSTS)).toBe(0);
  expect(guest.command(Code.resetDevice)).toBe(0);
  expect((guest.read64(GENCAP) >> 4n) & 1n).toBe(1n);
  expect(guest.read32(CMDCAP)).toBe(0x1ffe);
  guest.write32(GENCTRL, 3);
  expect(guest.read32(GENCTRL)).toBe(3);
}
