import type { Entry } from './entry.ts';

/** For moving 64-bit atomic values between bigints and halves; hosts are little-endian. */
const wide = new BigInt64Array(1);
const halves = new Int32Array(wide.buffer);

/**
 * The memory of one region as the interpreter sees it. A loaded value is left in `low` and `high`, because returning two
 * halves would allocate. Shared registers are reached by atomic operations only.
 */
export class RegisterStorage {
  /** Bits 31:0 of the value that the last operation loaded, signed. */
  low = 0;
  /** Bits 63:32 of it, 0 for registers up to 32 bits. */
  high = 0;
  /** The memory as 32-bit words: registers, lock words, staging slots. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #shorts: Uint16Array<ArrayBuffer>;
  readonly #longs: BigInt64Array<ArrayBuffer>;

  /** @param memory - at least `size` bytes; `size` is a multiple of 8 */
  constructor(memory: ArrayBuffer, size: number) {
    this.words = new Int32Array(memory, 0, size / 4);
    this.#bytes = new Uint8Array(memory, 0, size);
    this.#shorts = new Uint16Array(memory, 0, size / 2);
    this.#longs = new BigInt64Array(memory, 0, size / 8);
  }

  /** Loads a register's value. */
  load(entry: Entry): void {
    const { offset } = entry;
    if (entry.shared) {
      this.#loadShared(entry);
      return;
    }
    switch (entry.size) {
      case 1:
        this.low = this.#bytes[offset] ?? 0;
        this.high = 0;
        break;
      case 2:
        this.low = this.#shorts[offset >>> 1] ?? 0;
        this.high = 0;
        break;
      case 4:
        this.low = this.words[offset >>> 2] ?? 0;
        this.high = 0;
        break;
      default:
        this.low = this.words[offset >>> 2] ?? 0;
        this.high = this.words[(offset >>> 2) + 1] ?? 0;
    }
  }

  /** Stores a register's value. */
  store(entry: Entry, low: number, high: number): void {
    const { offset } = entry;
    if (entry.shared) {
      if (entry.size === 4) Atomics.store(this.words, offset >>> 2, low);
      else Atomics.store(this.#longs, offset >>> 3, joinHalves(low, high));
      return;
    }
    switch (entry.size) {
      case 1:
        this.#bytes[offset] = low;
        break;
      case 2:
        this.#shorts[offset >>> 1] = low;
        break;
      case 4:
        this.words[offset >>> 2] = low;
        break;
      default:
        this.words[offset >>> 2] = low;
        this.words[(offset >>> 2) + 1] = high;
    }
  }

  /**
   * Replaces the value that {@link load} left, provided that it is still the register's. Otherwise returns false and
   * leaves the newer value to be tried with. Registers that are not shared have one owner, so theirs never fails.
   */
  replace(entry: Entry, low: number, high: number): boolean {
    if (!entry.shared) {
      this.store(entry, low, high);
      return true;
    }
    if (entry.size === 4) {
      const found = Atomics.compareExchange(this.words, entry.offset >>> 2, this.low, low);
      if (found === this.low) return true;
      this.low = found;
      return false;
    }
    const expected = joinHalves(this.low, this.high);
    const found = Atomics.compareExchange(this.#longs, entry.offset >>> 3, expected, joinHalves(low, high));
    if (found === expected) return true;
    this.#split(found);
    return false;
  }

  /** Sets the bits under the masks to those of the values and leaves the others. */
  assign(entry: Entry, maskLow: number, maskHigh: number, low: number, high: number): void {
    this.load(entry);
    while (!this.replace(entry, (this.low & ~maskLow) | (low & maskLow), (this.high & ~maskHigh) | (high & maskHigh)));
  }

  #loadShared(entry: Entry): void {
    if (entry.size === 4) {
      this.low = Atomics.load(this.words, entry.offset >>> 2);
      this.high = 0;
    } else {
      this.#split(Atomics.load(this.#longs, entry.offset >>> 3));
    }
  }

  #split(value: bigint): void {
    wide[0] = value;
    this.low = halves[0] ?? 0;
    this.high = halves[1] ?? 0;
  }
}

function joinHalves(low: number, high: number): bigint {
  halves[0] = low;
  halves[1] = high;
  return wide[0] ?? 0n;
}
