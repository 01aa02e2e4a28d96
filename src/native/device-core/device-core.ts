import { addon } from '../addon.ts';
import type { CoreDirtyLog } from './dirty-log.ts';
import type { CoreGuestMemory } from './guest-memory.ts';
import type { CoreInterrupts } from './interrupts.ts';
import type { CoreRegions } from './regions.ts';

declare const opaque: unique symbol;

/** Counters of one device. Requests, not bytes. */
export interface DeviceStatistics {
  /** Region accesses that passed the range check. */
  readonly reads: number;
  readonly writes: number;
  /** Pages of them that went to JavaScript. */
  readonly traps: number;
  /** Accesses, SET_IRQS requests and resets that ended with an errno. */
  readonly refused: number;
  /** Writes to a region without a port, and writes of a width that the register does not take. */
  readonly droppedWrites: number;
  /** Writes to a register of which every bit was locked. */
  readonly frozenWrites: number;
  /** Guest memory accesses of engines that failed. */
  readonly dmaFaults: number;
}

/** The native half of one device: its regions, interrupts and guest memory, whoever the client is. */
export interface DeviceCore extends CoreRegions, CoreInterrupts, CoreGuestMemory, CoreDirtyLog {
  readonly [opaque]: 'DeviceCore';

  /** The client is gone: maps, eventfds and dirty log go, device state stays. */
  clientGone(): void;
  /**
   * Closes a descriptor that a client made, or a socket that a client may have sent some through, without waiting: close(2) may take as long as
   * that client likes. Works on a closed device, too.
   */
  closeForeignFd(fd: number): void;
  /** More than 512 descriptors of this device's clients wait to be closed: one of them does not let the others pass. */
  isBehindOnClosing(): boolean;
  statistics(): DeviceStatistics;
  /** Ends the device. Idempotent; every other method but `statistics` throws from then on. */
  close(): void;
}

const native = addon as { readonly DeviceCore: new () => DeviceCore };

/** Makes a device without regions, interrupts or guest memory. */
export function createDeviceCore(): DeviceCore {
  return new native.DeviceCore();
}
