import type { Entry } from './entry.ts';
import type { HookBinding } from './hook-binding.ts';
import type { HookCall } from './hook-call.ts';
import { LANES_HIGH, LANES_LOW } from './lanes.ts';
import type { RegisterStorage } from './storage.ts';
import { entryAt, nextAfter, type TableIndex } from './table-index.ts';
import { nextHigh, nextLow } from './write-rules.ts';

/**
 * The guest side of one region: the rules that the native dispatcher follows too, and the hooks that it does not know.
 *
 * Values are signed 32-bit halves throughout, so that an access to registers of at most 32 bits allocates nothing.
 */
export class Interpreter {
  readonly storage: RegisterStorage;
  /** Writes dropped because a register does not allow their width. */
  dropped = 0;
  /** Writes of which locks left nothing. */
  frozen = 0;
  /** The register of the last of each. */
  lastDropped: Entry | undefined;
  lastFrozen: Entry | undefined;
  readonly #entries: readonly Entry[];
  readonly #index: TableIndex;
  readonly #size: number;
  /** By position of the entry. */
  readonly #bindings: readonly (HookBinding | undefined)[];
  readonly #goesOn: () => boolean;

  /** @param goesOn Asked before what follows a hook in the same access. */
  constructor(
    storage: RegisterStorage,
    entries: readonly Entry[],
    index: TableIndex,
    size: number,
    bindings: readonly (HookBinding | undefined)[],
    goesOn: () => boolean,
  ) {
    this.storage = storage;
    this.#entries = entries;
    this.#index = index;
    this.#size = size;
    this.#bindings = bindings;
    this.#goesOn = goesOn;
  }

  /** Reads `into.length` bytes; bytes of no register read 0. */
  read(offset: number, into: Uint8Array): void {
    const end = Math.min(offset + into.length, this.#size);
    if (offset + into.length > end) into.fill(0);
    for (let at = offset; at < end;) {
      const entry = entryAt(this.#index, this.#entries, at);
      if (entry === undefined) {
        const next = nextAfter(this.#index, at);
        into.fill(0, at - offset, next - offset);
        at = next;
        continue;
      }
      const stop = Math.min(entry.offset + entry.size, end);
      this.#readRegister(entry, into, at - offset, at - entry.offset, stop - at);
      at = stop;
      if (at < end && entry.trapRead && !this.#goesOn()) return;
    }
  }

  /** Writes `from`; bytes of no register are ignored. */
  write(offset: number, from: Uint8Array): void {
    const end = Math.min(offset + from.length, this.#size);
    for (let at = offset; at < end;) {
      const entry = entryAt(this.#index, this.#entries, at);
      if (entry === undefined) {
        at = nextAfter(this.#index, at);
        continue;
      }
      const stop = Math.min(entry.offset + entry.size, end);
      this.#writeRegister(entry, from, at - offset, at - entry.offset, stop - at);
      at = stop;
      if (at < end && entry.trapWrite && !this.#goesOn()) return;
    }
  }

  /** Reads `count` bytes of a register from its byte `first` on into `into[at…]`. */
  #readRegister(entry: Entry, into: Uint8Array, at: number, first: number, count: number): void {
    const { storage } = this;
    if (entry.trapRead) this.#beforeRead(entry);
    storage.load(entry);
    const lane = 8 * first + count - 1;
    const clearLow = entry.rcLow & (LANES_LOW[lane] ?? 0);
    const clearHigh = entry.rcHigh & (LANES_HIGH[lane] ?? 0);
    if ((clearLow | clearHigh) !== 0)
      while (!storage.replace(entry, storage.low & ~clearLow, storage.high & ~clearHigh));
    const low = storage.low & entry.readLow;
    const high = storage.high & entry.readHigh;
    for (let i = 0; i < count; i++) {
      const byte = first + i;
      into[at + i] = byte < 4 ? low >>> (8 * byte) : high >>> (8 * byte - 32);
    }
  }

  #beforeRead(entry: Entry): void {
    const binding = this.#bindings[entry.position];
    if (binding?.hooks.beforeRead === undefined) return;
    const call = binding.take();
    call.access.index = entry.laidOut.index;
    try {
      call.changes.collect(binding.hooks.beforeRead(call.access), entry, 'beforeRead');
      call.changes.apply(this.storage, entry);
    } finally {
      binding.give(call);
    }
  }

  /** Writes `count` bytes `from[at…]` to a register from its byte `first` on. */
  #writeRegister(entry: Entry, from: Uint8Array, at: number, first: number, count: number): void {
    const { words } = this.storage;
    if (entry.widths !== 0 && ((entry.widths >>> count) & 1) === 0) {
      this.dropped += 1;
      this.lastDropped = entry;
      return;
    }
    let low = 0;
    let high = 0;
    for (let i = 0; i < count; i++) {
      const byte = first + i;
      const data = from[at + i] ?? 0;
      if (byte < 4) low |= data << (8 * byte);
      else high |= data << (8 * byte - 32);
    }
    const lane = 8 * first + count - 1;
    let laneLow = LANES_LOW[lane] ?? 0;
    let laneHigh = LANES_HIGH[lane] ?? 0;
    if (entry.commitLast) {
      const { stage } = entry;
      low = ((words[stage] ?? 0) & ~laneLow) | low;
      high = ((words[stage + 1] ?? 0) & ~laneHigh) | high;
      laneLow |= words[stage + 2] ?? 0;
      laneHigh |= words[stage + 3] ?? 0;
      const last = first + count === entry.size;
      words[stage] = last ? 0 : low;
      words[stage + 1] = last ? 0 : high;
      words[stage + 2] = last ? 0 : laneLow;
      words[stage + 3] = last ? 0 : laneHigh;
      if (!last) return;
    }
    for (const rule of entry.rules) {
      if ((Atomics.load(words, rule.word) & rule.mask) !== 0) {
        laneLow &= ~rule.bitsLow;
        laneHigh &= ~rule.bitsHigh;
      }
    }
    if ((laneLow | laneHigh) === 0) {
      this.frozen += 1;
      this.lastFrozen = entry;
      return;
    }
    if (entry.trapWrite) this.#writeHooked(entry, low, high, laneLow, laneHigh);
    else this.#store(entry, low, high, laneLow, laneHigh);
  }

  /** Applies the declaration's rules to the current value and stores the result. */
  #store(entry: Entry, low: number, high: number, laneLow: number, laneHigh: number): void {
    const { storage } = this;
    storage.load(entry);
    while (
      !storage.replace(entry, nextLow(entry, storage.low, low, laneLow), nextHigh(entry, storage.high, high, laneHigh))
    );
  }

  #writeHooked(entry: Entry, low: number, high: number, laneLow: number, laneHigh: number): void {
    const binding = this.#bindings[entry.position];
    if (binding === undefined) {
      this.#store(entry, low, high, laneLow, laneHigh);
      return;
    }
    const call = binding.take();
    call.setAccess(entry.laidOut.index, laneLow, laneHigh);
    try {
      this.#beforeWrite(entry, binding, call, low, high, laneLow, laneHigh);
      if (binding.hooks.beforeWrite !== undefined && !this.#goesOn()) return;
      this.#storeChanged(entry, call, low, high, laneLow, laneHigh);
      if (binding.hooks.afterWrite !== undefined) {
        call.changes.collect(binding.hooks.afterWrite(call.next, call.previous, call.access), entry, 'afterWrite');
        call.changes.apply(this.storage, entry);
      }
    } finally {
      binding.give(call);
    }
  }

  /** Leaves what the hook changes in `call.changes`. */
  #beforeWrite(
    entry: Entry,
    binding: HookBinding,
    call: HookCall,
    low: number,
    high: number,
    laneLow: number,
    laneHigh: number,
  ): void {
    const { nextHalves, previousHalves, changes } = call;
    if (binding.hooks.beforeWrite === undefined) {
      changes.clear();
      return;
    }
    const { storage } = this;
    storage.load(entry);
    previousHalves.low = storage.low;
    previousHalves.high = storage.high;
    nextHalves.low = nextLow(entry, storage.low, low, laneLow);
    nextHalves.high = nextHigh(entry, storage.high, high, laneHigh);
    changes.collect(binding.hooks.beforeWrite(call.next, call.previous, call.access), entry, 'beforeWrite');
  }

  /**
   * Applies the rules and the hook's changes to the value that is current now: engines, or the hook itself, may have
   * changed the register since the hook was called.
   */
  #storeChanged(entry: Entry, call: HookCall, low: number, high: number, laneLow: number, laneHigh: number): void {
    const { storage } = this;
    const { nextHalves, previousHalves, changes } = call;
    storage.load(entry);
    do {
      previousHalves.low = storage.low;
      previousHalves.high = storage.high;
      nextHalves.low = (nextLow(entry, storage.low, low, laneLow) & ~changes.maskLow) | changes.bitsLow;
      nextHalves.high = (nextHigh(entry, storage.high, high, laneHigh) & ~changes.maskHigh) | changes.bitsHigh;
    } while (!storage.replace(entry, nextHalves.low, nextHalves.high));
  }
}
