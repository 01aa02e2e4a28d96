import { DirtyLog } from './dirty-log.ts';
import { Errno } from './wire.ts';
import { FILE_PAGES, type Handle, type World } from './world.ts';

const { EACCES, EEXIST, EFAULT, EINVAL, ENOENT, ENOSPC } = Errno;
export const Right = { read: 1, write: 2 } as const;
const LAST_ADDRESS = (1n << 64n) - 1n;
const LARGEST_MAP = 1n << 43n;
const PAGE = 4096n;

/** A DMA map. */
export interface GuestMap {
  readonly first: bigint;
  readonly last: bigint;
  readonly rights: number;
  /** Undefined: reached by message only. */
  readonly file: (Handle & { readonly kind: 'memory' }) | undefined;
  readonly offset: bigint;
}

/** What a client has mapped. */
export class GuestMemory {
  /** By ascending address, apart from each other. */
  maps: GuestMap[] = [];
  /** What VERSION agreed on. */
  maxMaps = 65_535;
  pageSize = PAGE;
  /** The function may reach memory: bus master is on, in D0. */
  reachable = false;
  readonly dirty = new DirtyLog();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  map(first: bigint, size: bigint, rights: number, offset: bigint, fds: readonly Handle[]): number {
    const [fd, more] = fds;
    if (more !== undefined) return EINVAL;
    if (size === 0n || (first | size) % this.pageSize !== 0n || offset % PAGE !== 0n) return EINVAL;
    const last = first + size - 1n;
    if (last > LAST_ADDRESS) return EINVAL;
    if (fd === undefined) {
      if (offset !== 0n) return EINVAL;
    } else {
      if (fd.kind !== 'memory') return EINVAL;
      if ((rights & Right.write) !== 0 && !fd.writable) return EACCES;
      if (offset + size > BigInt(FILE_PAGES[fd.index] ?? 0) * PAGE) return EINVAL;
    }
    const map = { first, last, rights, file: fd, offset };
    const there = this.maps.find((other) => other.last >= first);
    if (there !== undefined && there.first <= last) return same(there, map) ? 0 : EEXIST;
    if (size > LARGEST_MAP || this.maps.length >= this.maxMaps) return ENOSPC;
    const errno = this.dirty.mapped(map);
    if (errno !== 0) return errno;
    this.maps.push(map);
    this.maps.sort((a, b) => (a.first < b.first ? -1 : 1));
    return 0;
  }

  /** A range may end any number of whole maps, and cut none. */
  checkUnmap(first: bigint, size: bigint): number {
    const last = first + size - 1n;
    if (size === 0n || last > LAST_ADDRESS) return EINVAL;
    const touched = this.maps.filter((map) => map.first <= last && map.last >= first);
    if (touched.length === 0) return ENOENT;
    return touched.every((map) => map.first >= first && map.last <= last) ? 0 : EINVAL;
  }

  unmap(first: bigint, size: bigint): void {
    const last = first + size - 1n;
    this.maps = this.maps.filter((map) => map.last < first || map.first > last);
  }

  clear(): void {
    this.maps = [];
  }

  /** What holds `address` with that right. */
  find(address: bigint, right: number): GuestMap | undefined {
    if (!this.reachable) return undefined;
    const map = this.maps.find(({ first, last }) => first <= address && address <= last);
    return map !== undefined && (map.rights & right) !== 0 ? map : undefined;
  }

  /**
   * Copies between `bytes` and guest memory, map after map, until it meets one that it cannot use.
   * @returns 0 or EFAULT; or undefined at a map without a file.
   */
  copy(address: bigint, bytes: Uint8Array, right: number): number | undefined {
    for (let done = 0; done < bytes.length;) {
      const at = address + BigInt(done);
      const map = this.find(at, right);
      if (map === undefined) return EFAULT;
      if (map.file === undefined) return undefined;
      const length = Math.min(bytes.length - done, Number(map.last - at) + 1);
      const start = Number(map.offset + (at - map.first));
      const memory = this.#world.files[map.file.index]?.subarray(start, start + length) ?? new Uint8Array(0);
      if (right === Right.write) {
        memory.set(bytes.subarray(done, done + length));
        this.dirty.wrote(at, length);
      } else {
        bytes.set(memory, done);
      }
      done += length;
    }
    return 0;
  }
}

function same(a: GuestMap, b: GuestMap): boolean {
  return (
    a.first === b.first &&
    a.last === b.last &&
    a.rights === b.rights &&
    a.offset === b.offset &&
    a.file?.index === b.file?.index &&
    a.file?.writable === b.file?.writable
  );
}
