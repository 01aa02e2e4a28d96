/** What the native addon has for this layer. The order of the arrays' elements is that of `queue_device_object.cc`. */
import { addon, type DeviceCore } from '../native/binding.ts';

declare const opaque: unique symbol;

/** A thread that executes descriptors. */
export interface NativeEngine {
  readonly [opaque]: 'Engine';
  close(): void;
}

/** Queues and the engines that serve them. */
export interface NativeGroup {
  readonly [opaque]: 'Group';
  setEngines(engines: readonly NativeEngine[]): void;
  close(): void;
}

/** The work queues and portals of one device. */
export interface NativeQueueDevice {
  readonly [opaque]: 'QueueDevice';
  enable(queue: number, group: NativeGroup, configuration: Uint32Array, operations: Uint8Array): void;
  setThreshold(queue: number, threshold: number): void;
  /** @param effects offset, operation (0 store, 1 or, 2 and) and value of each effect. */
  command(
    queues: Uint32Array,
    stopAccepting: boolean,
    abort: boolean,
    effects: Uint32Array,
    vectors: Uint32Array,
    pasid: number | undefined,
    drainEventLog: boolean,
    closeEventLog: boolean,
  ): boolean;
  /** @param eventLog lower and upper half of the address, entries, bytes of an entry. */
  openEventLog(group: NativeGroup, eventLog: Uint32Array): void;
  reset(): void;
  suspend(): void;
  /** @returns whether nothing is outstanding, or it is not suspended. */
  settle(cancel: boolean): boolean;
  resume(): void;
  state(): Uint8Array<ArrayBuffer>;
  /**
   * @param configurations and `operations` of all queues, one after the other; without meaning where there is no group.
   * @param effects and `vectors` as those of `command`; undefined when none waits.
   * @param logGroup and `eventLog` as those of `openEventLog`; undefined when it is not open.
   */
  restore(
    state: Uint8Array,
    groups: readonly (NativeGroup | undefined)[],
    configurations: Uint32Array,
    operations: Uint8Array,
    effects: Uint32Array | undefined,
    vectors: Uint32Array | undefined,
    logGroup: NativeGroup | undefined,
    eventLog: Uint32Array | undefined,
  ): void;
  recordError(error: Uint32Array): void;
  statistics(queue: number): Float64Array;
  /** Errors written, and lost. */
  eventLogStatistics(): Float64Array;
  close(): void;
}

interface Addon {
  readonly Engine: new (name: string) => NativeEngine;
  readonly Group: new (inProgress: number) => NativeGroup;
  readonly QueueDevice: new (
    device: DeviceCore,
    portalRegion: number,
    registerRegion: number,
    queues: number,
    vectors: number,
    registers: Uint32Array,
    capabilities: number,
    typedCapabilities: Uint32Array,
  ) => NativeQueueDevice;
  readonly supportedOperations: () => Uint8Array;
}

export const native = addon as Addon;
