/**
 * The native addon, typed. Not exported by the package: `src/engine`, `src/mdev` and `src/vfio-user` build on it.
 *
 * Every method checks its arguments and throws a TypeError or RangeError that names the argument; a method that answers
 * for a guest or a client returns 0 or a positive errno instead. Other layers declare the objects that they add in files
 * of their own and take them from {@link addon}.
 */
import { loadAddon } from './loader.ts';

declare const opaque: unique symbol;

/** A compiled register block, checked by C++ and shared by all instances of a type. */
export interface RegisterTable {
  readonly [opaque]: 'RegisterTable';
}

/** JavaScript behind the accesses that C++ does not answer. Everything here is called on the owner's thread. */
export interface TrapHandler {
  /**
   * One access that touches a hooked register: at most 4,096 bytes inside one 4 KiB page of the region.
   *
   * @param data the bytes written, or zeros to be replaced by the bytes read; valid only during the call. Hooks that
   * access the device again are nested accesses with a buffer of their own, four levels deep at most (then EBUSY).
   * @returns 0 or an errno. An exception, or a result of another kind, makes it EIO.
   */
  access(region: number, offset: number, data: Uint8Array, write: boolean): number;
  /** DEVICE_RESET. Returns 0 or an errno. */
  reset(): number;
  /** What `access` or `reset` threw. Called before the access ends with EIO; what this throws is dropped. */
  onFailure(error: unknown): void;
}

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
  /** The descriptor that is kept of the file, equal for maps of one file and access mode, until the maps change; -1: reached by message. */
  readonly fd: number;
  readonly offset: bigint;
}

/** The native half of one device: its regions, interrupts and guest memory, whoever the client is. */
export interface DeviceCore {
  readonly [opaque]: 'DeviceCore';

  /**
   * Makes a VFIO region of registers.
   *
   * @param index VFIO region index, 0 to 31.
   * @param size bytes; at least the table's block. What lies behind the block reads 0.
   * @param flags VFIO region flags: READ 1, WRITE 2.
   * @returns the region's memory (zeros), shared with C++: values, lock words, staging slots. Words that engines change
   * must be reached through `Atomics`.
   */
  setRegisterRegion(index: number, size: number, flags: number, table: RegisterTable): ArrayBuffer;
  /**
   * Serves a region of registers from another table of the same block, because other registers have hooks now. The memory
   * and what is in it stay.
   *
   * @throws RangeError when the region is not one of registers, or the table is of another block.
   */
  setRegisterTable(index: number, table: RegisterTable): void;
  /** Makes a VFIO region without native behaviour: reads give all ones, writes are dropped, until it gets a port. */
  setRegion(index: number, size: number, flags: number): void;
  /**
   * Puts memory behind parts of an existing region, in front of what is there: a sealed memfd of the region's size. Who
   * maps it can write only if the region's flags allow it.
   *
   * @param areas offset and size of each in turn, bytes: ascending whole pages, or all of the region.
   * @returns the memory, as large as the region.
   */
  setRegionMemory(index: number, areas: readonly number[]): ArrayBuffer;
  /** The descriptor of a region's memory, which stays the device's; -1 when there is none. */
  regionFile(index: number): number;
  /**
   * What must be on for a region to answer: nothing (0), memory decode (1, as for BARs at first), I/O decode (2), or the
   * expansion ROM's (3).
   */
  setRegionDecode(index: number, decode: number): void;
  /** Replaces the handler of trapped accesses. Without one they fail with EIO. */
  setTrapHandler(handler: TrapHandler): void;
  /** BAR accesses fail with EIO while memory decode is off. Off at first. */
  setMemoryDecode(enabled: boolean): void;
  /** The same for regions that need I/O decode, and the expansion ROM's. Off at first. */
  setIoDecode(enabled: boolean): void;
  setRomDecode(enabled: boolean): void;
  /** Whether any decode matters at all. It does at first. */
  setEnforceMemoryDecode(enforced: boolean): void;
  /** Cuts the device off after an error: every region reads all ones and drops writes, and no hook runs. */
  setIsolated(isolated: boolean): void;
  /**
   * Accesses a region as a client would, hooks included.
   *
   * @returns 0; EINVAL: no such region, direction not allowed, out of range; EIO: decode off, or a hook failed; EBUSY.
   * @throws TypeError when a hook detached or resized `into`.
   */
  read(region: number, offset: number, into: Uint8Array): number;
  write(region: number, offset: number, from: Uint8Array): number;
  /** Resets the device through its trap handler. */
  reset(): number;

  /** Vectors of a VFIO irq index: INTx (0) up to 1, MSI (1) up to 32, MSI-X (2) up to 2,048, ERR (3) and REQ (4) up to 1. */
  setIrqCount(index: number, count: number): void;
  /** The device asserts INTx, or lets go of it: a level, which masks itself when it fires. */
  setIntxAsserted(asserted: boolean): void;
  /** COMMAND.interruptDisable: INTx does not fire. */
  setIntxDisabled(disabled: boolean): void;
  /** STATUS.interruptStatus: the level, whatever masks it. */
  intxAsserted(): boolean;
  /** Raises a vector of MSI, MSI-X, ERR or REQ; a vector without an eventfd, or masked, latches. */
  triggerIrq(index: number, vector: number): void;
  /** The MSI-X function mask. */
  setIrqAllMasked(index: number, masked: boolean): void;
  /** The mask of one MSI-X table entry, or MSI message. */
  setIrqMasked(index: number, vector: number, masked: boolean): void;
  /** Keeps the latch in 32-bit words of a register region (MSI-X's PBA, MSI's pending bits), so that the guest sees it. */
  bindIrqPending(index: number, region: number, offset: number): void;
  irqPending(index: number, vector: number): boolean;
  /** FLR: forgets what is latched and every mask of the device's, and deasserts INTx; eventfds stay. */
  resetIrqs(index: number): void;
  /**
   * VFIO_DEVICE_SET_IRQS with the values of <linux/vfio.h>.
   *
   * @param data booleans of a BOOL request, or null.
   * @param fds eventfds (duplicated); -1 removes a vector's eventfd, and no fds at all remove those of the whole range.
   * @returns 0, EINVAL or ENOTTY; ENOMEM or EMFILE when an eventfd that unmasks INTx cannot be watched.
   */
  setIrqs(
    flags: number,
    index: number,
    start: number,
    count: number,
    data: Uint8Array | null,
    fds: readonly number[],
  ): number;

  /** While held, the device raises nothing but REQ: INTx keeps its level, messages latch. */
  setInterruptsHeld(held: boolean): void;
  /** Masks, latched vectors and INTx's level, as bytes. No eventfds. */
  interruptState(): Uint8Array;
  /** Whether these are the bytes of a device with the same vectors. */
  fitsInterruptState(state: Uint8Array): boolean;
  /**
   * Takes over the device's part of such a state; what the client has set, and what is meant for it alone, stays.
   *
   * @returns 0, or EINVAL with nothing changed.
   */
  adoptInterruptState(state: Uint8Array): number;

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
   * Copies guest memory. -1: a part is only reachable by message, see {@link dmaTransfer}. EFAULT: a part is not mapped
   * or lacks the right. On anything but 0 a first part may have been copied.
   */
  dmaRead(iova: bigint, into: Uint8Array): number;
  dmaWrite(iova: bigint, from: Uint8Array): number;
  /**
   * Reads into, or writes from, `buffer` (1 to 65,536 bytes) by message to the client.
   *
   * @returns 0: `callback` gets 0 or an errno later, exactly once. ENOTCONN: there is no client and no call.
   */
  dmaTransfer(write: boolean, iova: bigint, buffer: Uint8Array, callback: (errno: number) => void): number;

  /**
   * As {@link dmaUnmap}, and sets the bits of the dirty pages, see {@link reportDirty}. EINVAL also: the range is not
   * tracked.
   */
  dmaUnmapReporting(iova: bigint, size: bigint, pageSize: bigint, bitmap: Uint8Array): number;
  /**
   * Tracks what the device writes: VFIO_DEVICE_FEATURE_DMA_LOGGING_START. An identical repeat succeeds.
   *
   * @param pageSize a power of two, and a hint: {@link dirtyPageSize} is what is used.
   * @param ranges pairs of address and length in bytes, at most 256; none: all that is mapped, now or later.
   * @returns 0, EINVAL (page size, a range empty, unaligned or overlapping, something else is tracked), EOVERFLOW (a
   * range wraps), E2BIG (too many ranges), ENOSPC (beyond the limit of the log's memory) or ENOMEM.
   */
  startDirtyLog(pageSize: bigint, ranges: BigUint64Array): number;
  /** Ends tracking; what was not reported is lost. Idempotent. */
  stopDirtyLog(): void;
  /** Bytes of a page that is tracked; 0n when nothing is. */
  dirtyPageSize(): bigint;
  /**
   * Sets the bits of the dirty pages of a range, and forgets them: VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT.
   *
   * @param pageSize bytes of a bit; any power of two up to `length`.
   * @param bitmap bit 0 of byte 0 is the page at `iova`; whole 64-bit words, exactly as many as needed. No bit is cleared.
   * @returns 0, EINVAL (nothing is tracked, or the arguments do not fit), EOVERFLOW (the range wraps) or ENOENT (a part
   * is not tracked, or, if everything is, nothing is mapped there).
   */
  reportDirty(iova: bigint, length: bigint, pageSize: bigint, bitmap: Uint8Array): number;
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
  /** What the present client agreed to on top: `max_dma_maps` and `pgsizes` (0n: any). Ends with {@link clientGone}. */
  setClientDmaLimits(maxMappings: bigint, pageSizes: bigint): void;
  dmaInfo(): DmaInfo;
  /** All maps, by ascending address. */
  dmaMaps(): DmaMap[];

  /**
   * What answers for guest memory without a file when the client is in this process; null: nothing. Keeps the event loop alive. Ends with
   * {@link clientGone}.
   */
  setMessageMemory(handler: MessageMemoryHandler | null): void;

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

/** An eventfd(2) of our own, non-blocking. */
export interface EventFd {
  /** The descriptor; -1 after `close`. */
  readonly fd: number;
  /** Adds 1 to the counter. */
  signal(): void;
  /** The counter, which becomes 0. Does not wait: 0 when nothing was signalled. */
  read(): number;
  /** Calls back with the counter whenever it is not 0, and resets it. Keeps the event loop alive. Null stops. */
  onSignal(callback: ((count: number) => void) | null): void;
  /** Lets the event loop end although a callback waits. */
  unref(): void;
  close(): void;
}

/** Memory in a memfd, mapped shared: what a VMM gives to a device. */
export interface MemoryFile {
  /** The descriptor; -1 after `close`. */
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** The memory itself; it outlives `close`. */
  readonly buffer: ArrayBuffer;
  /** Closes the descriptor. */
  close(): void;
}

/** The addon's exports that this layer uses. */
interface Addon {
  readonly abiVersion: number;
  readonly RegisterTable: new (bytes: Uint8Array) => RegisterTable;
  readonly DeviceCore: new () => DeviceCore;
  readonly EventFd: new () => EventFd;
  readonly MemoryFile: new (size: number, seal: boolean) => MemoryFile;
  readonly mapSealedFile: (fd: number, offset: number, size: number, writable: boolean) => ArrayBuffer;
  readonly duplicateFd: (fd: number) => number;
  readonly closeFd: (fd: number) => void;
  readonly signalFd: (fd: number) => void;
}

/** The interface that this binding is written for. */
const ABI_VERSION = 1;

function load(): Addon {
  const loaded = loadAddon() as Addon;
  if (loaded.abiVersion !== ABI_VERSION) {
    throw new Error(
      `mdev-user: the native addon has interface version ${String(loaded.abiVersion)}; expected ${ABI_VERSION}; ` +
        'build it with "npm run build:native" in the package directory',
    );
  }
  return loaded;
}

/** Everything the addon exports; a layer narrows it to the objects that it declares. */
export const addon: unknown = load();

const { RegisterTable, DeviceCore, EventFd, MemoryFile, mapSealedFile, duplicateFd, closeFd, signalFd } =
  addon as Addon;

/**
 * Checks a compiled table.
 *
 * @throws RangeError that says what is wrong with `bytes`.
 */
export function createRegisterTable(bytes: Uint8Array): RegisterTable {
  return new RegisterTable(bytes);
}

/** Makes a device without regions, interrupts or guest memory. */
export function createDeviceCore(): DeviceCore {
  return new DeviceCore();
}

/** Makes an eventfd. */
export function eventfd(): EventFd {
  return new EventFd();
}

/**
 * Makes memory of `size` bytes (1 to 4 GiB, zeros).
 *
 * @param options `seal` (true by default) forbids to change the file's size. Without it, shrinking the file makes every
 * access to `buffer` behind the new end a fatal SIGBUS.
 */
export function memoryFile(size: number, options: { readonly seal?: boolean } = {}): MemoryFile {
  return new MemoryFile(size, options.seal ?? true);
}

export {
  /**
   * Maps `size` bytes of a memfd, from `offset` on (whole pages). Stores reach the file, or stay in this buffer when not `writable`. The mapping ends
   * when the last view is collected, whatever happens to the descriptor.
   *
   * Throws an Error with a `code`: EPERM, a file that may shrink under the mapping, or of huge pages, or that is sealed against writing; EACCES; EINVAL;
   * ENOMEM.
   */
  mapSealedFile,
  /** A duplicate of a file descriptor, closed on exec. Throws an Error with a `code`. */
  duplicateFd,
  /** Closes a file descriptor. Throws an Error with a `code`. */
  closeFd,
  /** Adds 1 to an eventfd that has no {@link EventFd}. Throws an Error with `code` EINVAL for any other descriptor. */
  signalFd,
};
