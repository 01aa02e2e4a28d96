/** Guest memory of a VMM in this process. Called on the owner's thread, from the event loop. */
export interface MessageMemoryHandler {
  /**
   * One access of the device, 1 to 65,536 bytes. It may access the device, unmap memory, or close it.
   *
   * @param data what the device writes, or zeros to be replaced by what it reads; a copy.
   * @returns 0 or an errno. What it throws is an uncaught exception of the process.
   */
  transfer(write: boolean, address: bigint, data: Uint8Array): number;
}

/** What a client may map at present: VFIO_IOMMU_GET_INFO. */
export interface DmaInfo {
  /** Page sizes, or'ed; maps are multiples of the smallest. */
  readonly pageSizes: bigint;
  /** Addresses that may be mapped, ascending, both ends included. */
  readonly windows: readonly { readonly first: bigint; readonly last: bigint }[];
  /** Maps that may still be made. */
  readonly mappingsAvailable: bigint;
  /** Memory that a log of dirty pages may take, bytes. */
  readonly maxDirtyLogBytes: bigint;
}

/** One DMA map, as it was made. */
export interface DmaMap {
  readonly iova: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** 1 read, 2 write, from the device's side. */
  readonly rights: number;
  /** The descriptor that is kept of the file, equal for maps of one file and access mode, until the maps change; -1: reached by message, or not valid. */
  readonly fd: number;
  readonly offset: bigint;
  /** False between `dmaInvalidateVaddr` and `dmaRestoreVaddr`. */
  readonly valid: boolean;
}

/** The guest memory of a device: its DMA maps, and access by them. */
export interface CoreGuestMemory {
  /** While off, guest memory is out of reach. Off at first. */
  setBusMaster(enabled: boolean): void;
  /** Whether bus master matters at all. It does at first. */
  setEnforceBusMaster(enforced: boolean): void;
  /** Whether a client that has mapped nothing is asked for each access by message. It is at first. */
  setAskUnmapped(ask: boolean): void;
  /**
   * Gives the device guest memory.
   *
   * @param rights 1 read, 2 write, from the device's side.
   * @param fd memory file (duplicated), or -1: reached by message.
   * @returns 0 or an errno; on error nothing changed.
   */
  dmaMap(iova: bigint, size: bigint, rights: number, fd: number, offset: bigint): number;
  dmaUnmap(iova: bigint, size: bigint): number;
  dmaUnmapAll(): void;
  /**
   * VFIO_DMA_UNMAP_FLAG_VADDR: takes the memory behind maps away, and keeps the maps; what is accessed there faults.
   * @returns 0, EINVAL (also: one of them is not valid already, or has no file), ENOENT (none there), ENOMEM.
   */
  dmaInvalidateVaddr(iova: bigint, size: bigint): number;
  /**
   * VFIO_DMA_MAP_FLAG_VADDR: puts memory behind such a map again, which keeps its rights. The descriptor is duplicated.
   * @returns 0, ENOENT (no map there), EINVAL (another one, or a valid one), EACCES, ENOSPC, EIO, ENOMEM; as `dmaMap`.
   */
  dmaRestoreVaddr(iova: bigint, size: bigint, fd: number, offset: bigint): number;
  /**
   * Copies guest memory. -1: a part is only reachable by message, see {@link dmaTransfer}. EFAULT: a part is not mapped
   * or lacks the right. On anything but 0 a first part may have been copied.
   */
  dmaRead(iova: bigint, into: Uint8Array): number;
  dmaWrite(iova: bigint, from: Uint8Array): number;
  /**
   * Reads into, or writes from, `buffer` (1 to 65,536 bytes) by message to the client. What of it is mapped, and with which
   * rights, the caller has looked at ({@link dmaExtent}).
   *
   * @returns 0: `callback` gets 0 or an errno later, exactly once. ENOTCONN: there is no client and no call.
   */
  dmaTransfer(write: boolean, iova: bigint, buffer: Uint8Array, callback: (errno: number) => void): number;
  /**
   * Bytes of [iova, iova + length) from its start on that lie in one map with that right; 0 when none do. `length` has 32
   * bits.
   */
  dmaExtent(write: boolean, iova: bigint, length: number): number;

  /**
   * The operator's limits.
   *
   * @param maxMappings DMA maps at a time; 65,535n at first.
   * @param pageSizes or'ed; the smallest is 4,096n or more. 4,096n at first.
   * @param windows pairs of first and last address that may be mapped, ascending; all at first.
   * @param maxDirtyLogBytes memory of a log of dirty pages; 64 MiB at first.
   * @returns 0, EINVAL, or EBUSY when what is mapped does not fit.
   */
  setDmaLimits(maxMappings: bigint, pageSizes: bigint, windows: BigUint64Array, maxDirtyLogBytes: bigint): number;
  /** What the present client agreed to on top: `max_dma_maps` and `pgsizes` (0n: any). Ends with `clientGone`. */
  setClientDmaLimits(maxMappings: bigint, pageSizes: bigint): void;
  dmaInfo(): DmaInfo;
  /** All maps, by ascending address. */
  dmaMaps(): DmaMap[];

  /**
   * What answers for guest memory without a file when the client is in this process; null: nothing. Keeps the event loop alive. Ends with
   * `clientGone`.
   */
  setMessageMemory(handler: MessageMemoryHandler | null): void;
}
