import { constants } from 'node:os';

import type { MessageMemoryHandler } from '../../native/binding.ts';
import { VfioDmaFlag as DmaRight } from '../vfio/vfio.ts';

const { EFAULT } = constants.errno;

/** Guest memory that a device reaches by message only. */
export interface MessageRange {
  readonly address: bigint;
  readonly memory: Uint8Array;
  /** {@link DmaRight} bits, as the device sees the memory. */
  readonly rights: number;
}

/** The memory behind the DMA maps of a VMM that gave no file with them. */
export class MessageMemory {
  /** What the server has accepted, by address; it does not overlap. */
  #ranges: MessageRange[] = [];
  /** What the server has been told of and may ask for already. */
  readonly #offered = new Set<MessageRange>();

  /** A range that the server is about to be told of. */
  offer(range: MessageRange): void {
    this.#offered.add(range);
  }

  /** The server has accepted it, in the place of an equal one if there is any. */
  accept(range: MessageRange): void {
    this.#offered.delete(range);
    const place = this.#firstBehind(range.address);
    const isAgain = this.#ranges[place - 1]?.address === range.address;
    this.#ranges.splice(isAgain ? place - 1 : place, isAgain ? 1 : 0, range);
  }

  /** The server has refused it. */
  withdraw(range: MessageRange): void {
    this.#offered.delete(range);
  }

  /** Every range that lies inside [address, address + size). */
  inside(address: bigint, size: bigint): readonly MessageRange[] {
    return this.all().filter(
      (range) => range.address >= address && range.address + BigInt(range.memory.length) <= address + size,
    );
  }

  /** Every range. */
  all(): readonly MessageRange[] {
    return [...this.#ranges, ...this.#offered];
  }

  /** These are gone. Those that came after them stay, wherever they are. */
  remove(ranges: readonly MessageRange[]): void {
    const gone = new Set(ranges);
    for (const range of gone) this.#offered.delete(range);
    this.#ranges = this.#ranges.filter((range) => !gone.has(range));
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
    const accepted = this.#ranges[this.#firstBehind(address) - 1];
    if (accepted !== undefined && holds(accepted, address)) return accepted;
    return [...this.#offered].find((range) => holds(range, address));
  }

  /** Index of the first accepted range that begins behind `address`. */
  #firstBehind(address: bigint): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const range = this.#ranges[middle];
      if (range !== undefined && range.address <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Answers a device in this process from `memory`. */
export function answersFrom(memory: MessageMemory): MessageMemoryHandler {
  return {
    transfer: (write, address, data) => {
      if (write) return memory.write(address, data) ? 0 : EFAULT;
      const read = memory.read(address, data.length);
      if (read === undefined) return EFAULT;
      data.set(read);
      return 0;
    },
  };
}

function holds(range: MessageRange, address: bigint): boolean {
  return address >= range.address && address < range.address + BigInt(range.memory.length);
}
