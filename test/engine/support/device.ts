import { array, compile, reg32, reg64, registerBlock, ro, rw, w1c } from '../../../src/emulation/index.ts';
import {
  Engine,
  Group,
  QueueDevice,
  type QueueDeviceOptions,
  supportedOperations,
  supportedTypedCapabilities,
  type TypedCapabilities,
  type WorkQueueConfig,
} from '../../../src/engine/index.ts';
import {
  createDeviceCore,
  createRegisterTable,
  type DeviceCore,
  eventfd,
  type EventFd,
  memoryFile,
  type MemoryFile,
} from '../../../src/native/binding.ts';
import { type DeviceHandle, deviceHandle } from '../../../src/native/device-handle.ts';
import { type CompletionRecord, descriptor, type DescriptorFields, readRecord, RECORD_SIZE } from './descriptor.ts';

export const PAGE = 4096;
/** IOVA of guest memory. */
export const BASE = 0x1_0000_0000;
export const REGISTER_REGION = 0;
export const PORTAL_REGION = 2;
const REGION_READ_WRITE = 3;
const MSIX = 2;
const EVENTFD_TRIGGER = 0x24;
/** What a device of version 2.0 shows, and one of version 1.0 does not. */
export const VERSION_2 = {
  destinationReadback: true,
  drainReadback: true,
  fillPattern16: true,
  crc64: true,
  faultInfo: true,
  batchContinuation: true,
  batchOfOne: true,
} as const;
/** Bytes of portals for each queue. */
export const PORTAL_STRIDE = 4 * PAGE;
const TIME_LIMIT_MS = 60_000;

/** The registers of the tests' devices. */
export const registers = registerBlock(0x1000, {
  GENCTRL: reg32(0x88, { softwareErrorInterruptEnable: rw(0), eventLogInterruptEnable: rw(2) }, { shared: true }),
  INTCAUSE: reg32(0x98, { causes: w1c(31, 0) }, { shared: true }),
  CMDSTATUS: reg32(0xa8, { error: ro(7, 0), active: ro(31) }, { shared: true }),
  OWN: reg64(0xb0, { all: rw(63, 0) }),
  SWERROR0: reg64(0xc0, { valid: w1c(0), overflow: w1c(1), rest: ro(63, 2) }, { shared: true }),
  SWERROR1: reg64(0xc8, { all: ro(63, 0) }, { shared: true }),
  SWERROR2: reg64(0xd0, { all: ro(63, 0) }, { shared: true }),
  SWERROR3: reg64(0xd8, { all: ro(63, 0) }, { shared: true }),
  EVLSTATUS: reg64(0xf0, { head: rw(15, 0), tail: ro(47, 32), interruptPending: w1c(62) }, { shared: true }),
  MSIXPERM: array(0x200, 8, 9, {
    ENTRY: reg32(0, { ignore: rw(2), pasidEnable: rw(3), pasid: rw(31, 12) }, { shared: true }),
  }),
  WQCFG: array(0x400, 32, 8, {
    STATUS: reg32(24, { occupancy: ro(15, 0), state: ro(31, 30) }, { shared: true }),
  }),
});

/** Offsets of the words that tests look at. */
export const Offset = {
  generalControl: 0x88,
  cause: 0x98,
  commandStatus: 0xa8,
  /** Of a register that is not shared. */
  own: 0xb0,
  error: 0xc0,
  eventLogStatus: 0xf0,
  permission: 0x200,
  status: 0x418,
};

/** A part of guest memory, in bytes from {@link BASE}. */
export interface Map {
  readonly start: number;
  readonly size: number;
  readonly read: boolean;
  readonly write: boolean;
}

export interface TestDeviceOptions {
  readonly engines?: number;
  readonly queues?: number;
  readonly pages?: number;
  /** All of guest memory when absent. */
  readonly maps?: readonly Map[];
  readonly capabilities?: Partial<QueueDeviceOptions['capabilities']>;
}

/** What DSACAP0 says. */
function maxListShift(typed: TypedCapabilities | undefined): number {
  return Number((typed?.[0] ?? 0n) & 0xfn);
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Waits, without the event loop, for what engines do on their own. */
export function waitFor(what: string, condition: () => boolean): void {
  const limit = Date.now() + TIME_LIMIT_MS;
  for (let turn = 0; !condition(); turn++) {
    if (turn < 100) continue;
    // Engines may need this core.
    Atomics.wait(sleeper, 0, 0, 0.02);
    if (Date.now() > limit) throw new Error(`waited ${TIME_LIMIT_MS} ms for ${what}`);
  }
}

/** A device with engines and guest memory, driven through the in-process face of its core. */
export class TestDevice implements Disposable {
  readonly core: DeviceCore = createDeviceCore();
  readonly handle: DeviceHandle = deviceHandle(this.core);
  readonly words: Uint32Array;
  readonly file: MemoryFile;
  /** All of guest memory. */
  readonly memory: Uint8Array;
  readonly group = new Group();
  readonly engines: readonly Engine[];
  readonly queues: QueueDevice;
  readonly vectors: readonly EventFd[];
  readonly #capabilities: QueueDeviceOptions['capabilities'];
  #submitted = 0;

  constructor(options: TestDeviceOptions = {}) {
    const { engines = 1, queues = 1, pages = 64, maps } = options;
    this.file = memoryFile(pages * PAGE);
    this.memory = new Uint8Array(this.file.buffer);
    const memory = this.core.setRegisterRegion(
      REGISTER_REGION,
      0x1000,
      REGION_READ_WRITE,
      createRegisterTable(compile(registers).bytes),
    );
    this.words = new Uint32Array(memory);
    this.core.setRegion(PORTAL_REGION, queues * PORTAL_STRIDE, REGION_READ_WRITE);
    this.core.setMemoryDecode(true);
    this.core.setBusMaster(true);
    this.core.setIrqCount(MSIX, 9);
    this.vectors = Array.from({ length: 9 }, () => eventfd());
    const fds = this.vectors.map((vector) => vector.fd);
    if (this.core.setIrqs(EVENTFD_TRIGGER, MSIX, 0, 9, null, fds) !== 0) throw new Error('setIrqs failed');
    for (const map of maps ?? [{ start: 0, size: pages * PAGE, read: true, write: true }]) this.map(map);

    this.#capabilities = {
      overlappingMove: true,
      maxTransferShift: 31,
      maxBatchShift: 10,
      operations: supportedOperations(),
      typed: supportedTypedCapabilities(),
      ...options.capabilities,
    };
    this.queues = new QueueDevice(this.handle, {
      portalRegion: PORTAL_REGION,
      registerRegion: REGISTER_REGION,
      queues,
      vectors: 9,
      registers: {
        softwareError: Offset.error,
        interruptCause: Offset.cause,
        generalControl: Offset.generalControl,
        workQueueStatus: { offset: Offset.status, stride: 32 },
        msixPermissions: { offset: Offset.permission, stride: 8 },
        eventLogStatus: Offset.eventLogStatus,
      },
      capabilities: this.#capabilities,
    });
    this.engines = Array.from({ length: engines }, (_, index) => new Engine({ name: `test-engine${index}` }));
    this.group.setEngines(this.engines);
  }

  map({ start, size, read, write }: Map): void {
    const rights = Number(read) | (Number(write) << 1);
    const errno = this.core.dmaMap(BigInt(BASE + start), BigInt(size), rights, this.file.fd, BigInt(start));
    if (errno !== 0) throw new Error(`dmaMap failed: ${errno}`);
  }

  unmap(start: number, size: number): void {
    const errno = this.core.dmaUnmap(BigInt(BASE + start), BigInt(size));
    if (errno !== 0) throw new Error(`dmaUnmap failed: ${errno}`);
  }

  enable(queue = 0, config: Partial<WorkQueueConfig> = {}): void {
    this.queues.enable(queue, this.configuration(config));
  }

  /** How {@link enable} configures a queue. */
  configuration(config: Partial<WorkQueueConfig> = {}): WorkQueueConfig {
    return {
      group: this.group,
      size: 64,
      mode: 'dedicated',
      threshold: 0,
      priority: 1,
      maxTransferShift: this.#capabilities.maxTransferShift,
      maxBatchShift: this.#capabilities.maxBatchShift,
      maxListShift: maxListShift(this.#capabilities.typed),
      ...config,
    };
  }

  /** Writes a descriptor to a portal, in pieces of `width` bytes. */
  submit(bytes: Uint8Array, queue = 0, width = 64): void {
    for (let at = 0; at < bytes.length; at += width) {
      const errno = this.core.write(PORTAL_REGION, queue * PORTAL_STRIDE + at, bytes.subarray(at, at + width));
      if (errno !== 0) throw new Error(`write failed: ${errno}`);
    }
    this.#submitted += 1;
  }

  /** Submits to queue 0 and waits until the descriptor has ended, whether it leaves a record or not. */
  run(bytes: Uint8Array, width = 64): void {
    this.submit(bytes, 0, width);
    waitFor('a descriptor', () => this.queues.statistics(0).completed === this.#submitted);
  }

  /** Executes a descriptor with a record at `at`, an offset of guest memory. */
  execute(fields: DescriptorFields, at = 0): CompletionRecord {
    this.memory.fill(0, at, at + RECORD_SIZE);
    this.run(descriptor({ ...fields, record: BASE + at }));
    return this.record(at);
  }

  /** Writes a descriptor to memory, as a member of a list. */
  put(at: number, fields: DescriptorFields): void {
    this.memory.set(descriptor(fields), at);
  }

  record(at: number): CompletionRecord {
    return readRecord(this.memory.subarray(at, at + RECORD_SIZE));
  }

  /** A register word, as the engines left it. */
  word(offset: number): number {
    return Atomics.load(this.words, offset / 4);
  }

  /** SWERROR's words. */
  softwareError(): readonly bigint[] {
    return [0, 8, 16, 24].map(
      (at) => BigInt(this.word(Offset.error + at)) | (BigInt(this.word(Offset.error + at + 4)) << 32n),
    );
  }

  /** Clears SWERROR as the guest does. */
  clearSoftwareError(): void {
    this.core.write(REGISTER_REGION, Offset.error, Uint8Array.of(3));
  }

  /** How often a vector was raised since the last call. */
  raised(vector: number): number {
    return this.vectors[vector]?.read() ?? 0;
  }

  [Symbol.dispose](): void {
    this.queues.close();
    this.group.close();
    for (const engine of this.engines) engine.close();
    for (const vector of this.vectors) vector.close();
    this.core.close();
    this.file.close();
  }
}
