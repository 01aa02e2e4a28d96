import type { RegisterTable } from '../register-table.ts';

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

/** The regions of a device. */
export interface CoreRegions {
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
   * @param posted whether nobody waits for an answer, which is so when absent: what is not posted may be refused with EAGAIN, to be tried again.
   * @returns 0; EINVAL: no such region, direction not allowed, out of range; EIO: decode off, or a hook failed; EBUSY; EAGAIN.
   * @throws TypeError when a hook detached or resized `into`.
   */
  read(region: number, offset: number, into: Uint8Array): number;
  write(region: number, offset: number, from: Uint8Array, posted?: boolean): number;
  /** Resets the device through its trap handler. */
  reset(): number;
}
