import { defaultDmaLimits, type DmaLimits } from './dma-limits.ts';

/** What the platform that consumes an instance does itself and what it leaves to the device. */
export interface PlatformCapabilities {
  /**
   * Whose business the MSI-X table is. `client`: the client emulates it (QEMU does) and programs eventfds by SET_IRQS;
   * entries are storage and only the function mask counts. `device`: entry masks in the table count too (a VMM in this
   * process that reads address and data from it).
   */
  readonly msixOwner: 'client' | 'device';
  /**
   * BAR accesses fail with EIO while COMMAND.memorySpace is 0 or the function is in D3hot. Off for clients that never
   * program COMMAND.
   */
  readonly enforceMemoryDecode: boolean;
  /** The device reaches guest memory only while COMMAND.busMaster is 1. Off for clients that never program COMMAND. */
  readonly enforceBusMaster: boolean;
  /** What clients may map. */
  readonly dma: DmaLimits;
}

/** Right for QEMU on x86. */
export const defaultPlatformCapabilities: PlatformCapabilities = Object.freeze({
  msixOwner: 'client',
  enforceMemoryDecode: true,
  enforceBusMaster: true,
  dma: defaultDmaLimits,
});
