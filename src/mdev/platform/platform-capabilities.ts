import { defaultDmaLimits, type DmaLimits } from '../dma/dma-limits.ts';

/** What the platform that consumes an instance does itself and what it leaves to the device. */
export interface PlatformCapabilities {
  /**
   * Whose business the MSI-X table is. `client`: the client emulates it (QEMU does) and programs eventfds by SET_IRQS;
   * entries are storage and only the function mask counts. `device`: entry masks in the table count too (a VMM in this
   * process that reads address and data from it).
   */
  readonly msixOwner: 'client' | 'device';
  /**
   * Accesses of memory BARs fail with EIO while COMMAND.memorySpace is 0, those of I/O BARs while COMMAND.ioSpace is 0,
   * and both outside of power state D0. Off for clients that never program COMMAND.
   */
  readonly enforceMemoryDecode: boolean;
  /**
   * BARs smaller than a page keep their size, and may share a page with others. False makes them a page large, for
   * platforms that can only trap or map whole pages.
   */
  readonly subPageBars: boolean;
  /**
   * How the platform gets at the expansion ROM. `shadow`: it copies the contents when it likes, so they can be read
   * whatever COMMAND and the ROM's own register say (QEMU). `map`: it forwards the guest's reads, which fail with EIO
   * unless memory decode and the ROM's enable bit are on.
   */
  readonly rom: 'shadow' | 'map';
  /**
   * The device's accesses to guest memory are coherent with the processors' caches, as on x86 (`VFIO_DMA_CC_IOMMU`). For
   * behaviours that show or act on "no snoop"; the framework's own copies are coherent always.
   */
  readonly snooping: boolean;
  /**
   * The device reaches guest memory, and sends MSI and MSI-X, only while COMMAND.busMaster is 1 and it is in D0; messages wait, pending. Off for clients
   * that never program COMMAND.
   */
  readonly enforceBusMaster: boolean;
  /**
   * An error that freezes an instance (`MdevDevice.error`) signals the irq index ERR. Off by default: QEMU stops its whole guest
   * on ERR. Without it the guest finds all ones, and its operator the event `deviceError`.
   */
  readonly reportErrors: boolean;
  /**
   * Milliseconds within which a client is answered that moves the device in migration, all steps of one request together: 1
   * to 2^31 - 1. A device that has not stopped by then goes on, one that has not been saved stays where it was, and the client
   * is told ETIMEDOUT. QEMU waits 5 s.
   */
  readonly answersWithin: number;
  /**
   * A client that has mapped nothing at all is asked for each access by message, and its refusal is the fault: QEMU's
   * virtual IOMMU translates so where the guest's page tables are of the first stage. Off for clients that cannot answer
   * DMA_READ and DMA_WRITE: then these accesses fault.
   */
  readonly askUnmapped: boolean;
  /**
   * Who sees the capabilities of PASIDs and page requests (ATS, PASID, PRI), for which vfio-user has no messages. `in-process`: a VMM in this process, and the
   * instance cannot be served. `hidden`: nobody; `mdev serve` says so by default. `shown`: also a guest behind vfio-user, where every access by PASID faults
   * and every page request is refused: for guests that only look.
   */
  readonly pasid: 'in-process' | 'hidden' | 'shown';
  /** What clients may map. */
  readonly dma: DmaLimits;
  /**
   * Names of capabilities that the guest does not see, such as `ATS`, because nothing on this platform makes them work.
   * The device keeps their registers; without its MSI-X capability it has no vectors.
   */
  readonly hiddenCapabilities: readonly string[];
  /** Fields of capabilities that read zero, such as `PCIE.DEVCAP.functionLevelReset`. */
  readonly hiddenFields: readonly string[];
}

/** Where a platform differs from another: the switches that do, and of `dma` the limits that do. */
export type PlatformOverrides = Partial<Omit<PlatformCapabilities, 'dma'>> & { readonly dma?: Partial<DmaLimits> };

/** Right for QEMU on x86. */
export const defaultPlatformCapabilities: PlatformCapabilities = Object.freeze({
  msixOwner: 'client',
  enforceMemoryDecode: true,
  subPageBars: true,
  rom: 'shadow',
  snooping: true,
  enforceBusMaster: true,
  reportErrors: false,
  answersWithin: 4000,
  askUnmapped: true,
  pasid: 'in-process',
  dma: defaultDmaLimits,
  hiddenCapabilities: [],
  hiddenFields: [],
});
