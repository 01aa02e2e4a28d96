import type { GuestMap } from './guest-memory.ts';
import { Errno } from './wire.ts';

const { EINVAL, ENOENT, ENOSPC } = Errno;
const E2BIG = 7;
const EOVERFLOW = 75;
const ADDRESSES = 1n << 64n;
const SMALLEST = 4096n;
const RANGES = 256;
/** Bytes of a log: a bit for each page. */
const ROOM = 64n << 20n;

export interface Range {
  readonly first: bigint;
  readonly size: bigint;
}

const end = ({ first, size }: Range): bigint => first + size;
const powerOfTwo = (value: bigint): boolean => value > 0n && (value & (value - 1n)) === 0n;

/** Bytes of a bitmap with a bit for each page, in words of 64 bits. */
export function bitmapBytes(size: bigint, pageSize: bigint): bigint {
  const pages = (size + pageSize - 1n) / pageSize;
  return ((pages + 63n) / 64n) * 8n;
}

interface Log {
  readonly asked: bigint;
  readonly ranges: readonly Range[];
  /** `ranges` by address, joined where they touch; what was mapped meanwhile, when there are none. */
  tracked: Range[];
  /** Bytes of a page of the log. */
  readonly page: bigint;
  /** Numbers of pages that were written. */
  readonly dirty: Set<bigint>;
}

/** Which pages the device has written, by address (decision 8). */
export class DirtyLog {
  #log: Log | undefined;

  /** The size of the log's pages. */
  get page(): bigint {
    return this.#log?.page ?? 0n;
  }

  /** Everything that is mapped is tracked. */
  get tracksAll(): boolean {
    return this.#log?.ranges.length === 0;
  }

  start(pageSize: bigint, ranges: readonly Range[], maps: readonly GuestMap[]): number {
    if (!powerOfTwo(pageSize)) return EINVAL;
    if (ranges.length > RANGES) return E2BIG;
    if (this.#log !== undefined) {
      const { asked, ranges: before } = this.#log;
      const same =
        pageSize === asked &&
        ranges.length === before.length &&
        ranges.every((range, n) => range.first === before[n]?.first && range.size === before[n].size);
      return same ? 0 : EINVAL;
    }
    for (const range of ranges) {
      if (range.size === 0n || (range.first | range.size) % pageSize !== 0n) return EINVAL;
      if (end(range) > ADDRESSES) return EOVERFLOW;
    }
    const ascending = [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1));
    const tracked: Range[] = [];
    for (const range of ascending) {
      const last = tracked.at(-1);
      if (last !== undefined && range.first < end(last)) return EINVAL;
      if (last !== undefined && range.first === end(last)) tracked.pop();
      tracked.push(last?.first !== undefined && range.first === end(last) ? joined(last, range) : range);
    }
    const page = ranges.length > 0 && pageSize > SMALLEST ? pageSize : SMALLEST;
    const all = ranges.length > 0 ? tracked : maps.map(rangeOf);
    if (room(all, page) > ROOM) return ENOSPC;
    this.#log = { asked: pageSize, ranges, tracked: all, page, dirty: new Set() };
    return 0;
  }

  stop(): void {
    this.#log = undefined;
  }

  /** The device has written there. */
  wrote(first: bigint, length: number): void {
    const log = this.#log;
    if (log === undefined || length === 0) return;
    const last = first + BigInt(length) - 1n;
    for (let number = first / log.page; number <= last / log.page; ++number) {
      const page = { first: number * log.page, size: log.page };
      if (log.tracked.some((range) => overlap(range, page))) log.dirty.add(number);
    }
  }

  /** A map is made. ENOSPC: the log has no room for it. */
  mapped(map: GuestMap): number {
    const log = this.#log;
    if (log?.ranges.length !== 0) return 0;
    const tracked = [...log.tracked, rangeOf(map)];
    if (room(tracked, log.page) > ROOM) return ENOSPC;
    log.tracked = tracked;
    return 0;
  }

  /** Bits go with what was mapped, where everything is tracked. */
  unmapped(first: bigint, last: bigint): void {
    const log = this.#log;
    if (log?.ranges.length !== 0) return;
    for (const number of [...log.dirty]) {
      if (overlap({ first: number * log.page, size: log.page }, { first, size: last - first + 1n }))
        log.dirty.delete(number);
    }
  }

  /** 0, or why a range cannot be reported. */
  check({ first, size }: Range, pageSize: bigint): number {
    if (this.#log === undefined || size === 0n || !powerOfTwo(pageSize) || pageSize > size) return EINVAL;
    return first + size > ADDRESSES ? EOVERFLOW : 0;
  }

  /** Whether all of a range is tracked. */
  tracks(range: Range): boolean {
    const log = this.#log;
    if (log === undefined) return false;
    return log.ranges.length === 0 || log.tracked.some((each) => each.first <= range.first && end(range) <= end(each));
  }

  /** As {@link check}; ENOENT where nothing is tracked, or everything is and nothing is mapped. */
  checkReport(range: Range, pageSize: bigint, maps: readonly GuestMap[]): number {
    const errno = this.check(range, pageSize);
    if (errno !== 0) return errno;
    if (!this.tracks(range)) return ENOENT;
    const mapped = maps.some((map) => overlap(range, rangeOf(map)));
    return this.tracksAll && !mapped ? ENOENT : 0;
  }

  /** The bitmap, which is clear from then on. A page that lies in the range only in part stays marked. */
  report(range: Range, pageSize: bigint): Uint8Array {
    const bitmap = new Uint8Array(Number(bitmapBytes(range.size, pageSize)));
    const log = this.#log;
    if (log === undefined) return bitmap;
    for (const number of [...log.dirty]) {
      const page = { first: number * log.page, size: log.page };
      if (!overlap(page, range)) continue;
      const from = page.first > range.first ? page.first - range.first : 0n;
      const to = (end(page) < end(range) ? end(page) : end(range)) - range.first;
      for (let bit = from / pageSize; bit <= (to - 1n) / pageSize; ++bit) {
        const at = Number(bit / 8n);
        bitmap[at] = (bitmap[at] ?? 0) | (1 << Number(bit % 8n));
      }
      if (!this.#sharesOutside(log, page, range)) log.dirty.delete(number);
    }
    return bitmap;
  }

  /** Whether anything that is tracked lies in `page` and outside of `range`. */
  #sharesOutside(log: Log, page: Range, range: Range): boolean {
    const parts: Range[] = [];
    if (page.first < range.first) parts.push({ first: page.first, size: range.first - page.first });
    if (end(range) < end(page)) parts.push({ first: end(range), size: end(page) - end(range) });
    return parts.some((part) => log.ranges.length === 0 || log.tracked.some((each) => overlap(each, part)));
  }
}

function overlap(a: Range, b: Range): boolean {
  return a.first < end(b) && b.first < end(a);
}

function joined(a: Range, b: Range): Range {
  return { first: a.first, size: end(b) - a.first };
}

function rangeOf({ first, last }: GuestMap): Range {
  return { first, size: last - first + 1n };
}

function room(ranges: readonly Range[], page: bigint): bigint {
  return ranges.reduce((sum, { size }) => sum + size, 0n) / page / 8n;
}
