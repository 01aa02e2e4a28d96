import { DmaRight } from './protocol.ts';

/** Guest memory that the server reaches by message only. */
interface MessageRange {
  readonly address: bigint;
  readonly memory: Uint8Array;
  /** {@link DmaRight} bits, as the device sees the memory. */
  readonly rights: number;
}

/** The memory behind the DMA maps of a client that gave no file with them. */
export class MessageMemory {
  readonly #ranges = new Map<bigint, MessageRange>();

  /** Ranges do not overlap: the server refuses such maps. */
  add(address: bigint, memory: Uint8Array, rights: number): void {
    this.#ranges.set(address, { address, memory, rights });
  }

  /** Removes every range that lies inside [address, address + size). */
  remove(address: bigint, size: bigint): void {
    for (const range of this.#ranges.values()) {
      const end = range.address + BigInt(range.memory.length);
      if (range.address >= address && end <= address + size) this.#ranges.delete(range.address);
    }
  }

  clear(): void {
    this.#ranges.clear();
  }

  /** What the device reads, or undefined when a byte of it is not there or may not be read. */
  read(address: bigint, count: number): Uint8Array | undefined {
    const into = new Uint8Array(count);
    return this.#each(address, count, DmaRight.read, (piece, offset) => {
      into.set(piece, offset);
    })
      ? into
      : undefined;
  }

  /** Stores what the device writes; false, with nothing written, when a byte has no place or may not be written. */
  write(address: bigint, data: Uint8Array): boolean {
    if (!this.#each(address, data.length, DmaRight.write, () => undefined)) return false;
    return this.#each(address, data.length, DmaRight.write, (piece, offset) => {
      piece.set(data.subarray(offset, offset + piece.length));
    });
  }

  /** Visits the memory of [address, address + count), which may straddle ranges. False when there is a hole. */
  #each(address: bigint, count: number, right: number, visit: (piece: Uint8Array, offset: number) => void): boolean {
    for (let offset = 0; offset < count;) {
      const at = address + BigInt(offset);
      const range = this.#rangeAt(at);
      if (range === undefined || (range.rights & right) === 0) return false;
      const start = Number(at - range.address);
      const piece = range.memory.subarray(start, start + count - offset);
      visit(piece, offset);
      offset += piece.length;
    }
    return true;
  }

  #rangeAt(address: bigint): MessageRange | undefined {
    for (const range of this.#ranges.values()) {
      if (address >= range.address && address < range.address + BigInt(range.memory.length)) return range;
    }
    return undefined;
  }
}
