import { constants } from 'node:os';

import type { DeviceCore } from '../../native/binding.ts';
import type { LoggedSpace } from '../dma/dma-logging.ts';
import { dirtyBitmapBytes } from '../dma/dma-logging-data.ts';
import type { DmaRange } from '../vfio/vfio-requests.ts';
import type { ContainerMember } from './container-member.ts';
import { DIRTY_PAGE, DirtyPages, setBit } from './dirty-pages.ts';

const { EINVAL } = constants.errno;

/** What is logged: the arguments of `startDirtyLog`. */
interface Logged {
  readonly pageSize: bigint;
  readonly ranges: BigUint64Array;
}

/**
 * The pages that any device of a container wrote, as one log. Each device keeps its own, and the container asks them all. What one had written that has
 * left is kept here.
 */
export class ContainerDirtyLog implements LoggedSpace {
  /** Has the maps of the container and writes nothing: it says what is refused. */
  readonly #space: DeviceCore;
  readonly #members: ReadonlySet<ContainerMember>;
  /** Takes a map away from a member, and the container away from a member that refuses. */
  readonly #unmapped: (member: ContainerMember, errno: number) => void;
  readonly #left = new DirtyPages();
  #logged: Logged | undefined;

  constructor(
    space: DeviceCore,
    members: ReadonlySet<ContainerMember>,
    unmapped: (member: ContainerMember, errno: number) => void,
  ) {
    this.#space = space;
    this.#members = members;
    this.#unmapped = unmapped;
  }

  dirtyPageSize(): bigint {
    return this.#space.dirtyPageSize();
  }

  startDirtyLog(pageSize: bigint, ranges: BigUint64Array): number {
    // A device logs once: what its own client wants to know is not the container's.
    if (this.#logged === undefined && [...this.#members].some(({ core }) => core.dirtyPageSize() !== 0n)) return EINVAL;
    const errno = this.#space.startDirtyLog(pageSize, ranges);
    if (errno !== 0 || this.#logged !== undefined) return errno;
    this.#logged = { pageSize, ranges };
    for (const member of this.#members) {
      const refused = this.add(member);
      if (refused === 0) continue;
      this.stopDirtyLog();
      return refused;
    }
    return 0;
  }

  stopDirtyLog(): void {
    this.#space.stopDirtyLog();
    if (this.#logged === undefined) return;
    this.#logged = undefined;
    this.#left.clear();
    for (const { core } of this.#members) core.stopDirtyLog();
  }

  reportDirty(iova: bigint, length: bigint, pageSize: bigint, bitmap: Uint8Array): number {
    const errno = this.#space.reportDirty(iova, length, pageSize, bitmap);
    if (errno !== 0) return errno;
    for (const member of this.#members) {
      if (member.core.reportDirty(iova, length, pageSize, bitmap) !== 0) this.#lost(member, bitmap, length, pageSize);
    }
    this.#left.report(iova, length, pageSize, bitmap);
    return 0;
  }

  dmaUnmapReporting(iova: bigint, size: bigint, pageSize: bigint, bitmap: Uint8Array): number {
    const errno = this.#space.dmaUnmapReporting(iova, size, pageSize, bitmap);
    if (errno !== 0) return errno;
    for (const member of [...this.#members]) {
      const refused = member.core.dmaUnmapReporting(iova, size, pageSize, bitmap);
      if (refused === 0) continue;
      this.#lost(member, bitmap, size, pageSize);
      this.#unmapped(member, member.core.dmaUnmap(iova, size));
    }
    this.#left.report(iova, size, pageSize, bitmap);
    return 0;
  }

  /** Maps are gone, in a range or all, and nobody asked what was written: where all is logged, what is mapped there next begins clean, as in a device. */
  unmapped(range?: DmaRange): void {
    if (this.#logged?.ranges.length !== 0) return;
    if (range === undefined) this.#left.clear();
    else this.#left.forget(range.iova, range.size);
  }

  /** A device that has the container's maps begins to log, if the container does. Returns 0 or an errno. */
  add({ core }: ContainerMember): number {
    return this.#logged === undefined ? 0 : core.startDirtyLog(this.#logged.pageSize, this.#logged.ranges);
  }

  /** A device leaves: keeps what it has written. */
  remove({ core }: ContainerMember): void {
    if (this.#logged === undefined) return;
    for (const { iova, size } of this.#loggedParts()) {
      const bitmap = new Uint8Array(Number(dirtyBitmapBytes(size, DIRTY_PAGE)));
      // When its log is gone, nobody knows.
      if (core.reportDirty(iova, size, DIRTY_PAGE, bitmap) !== 0) bitmap.fill(0xff);
      this.#left.add(iova, size, bitmap);
    }
    core.stopDirtyLog();
  }

  /** What of the maps is logged. */
  #loggedParts(): readonly DmaRange[] {
    const maps = this.#space.dmaMaps();
    const { ranges = new BigUint64Array(0) } = this.#logged ?? {};
    if (ranges.length === 0) return maps;
    return maps.flatMap(({ iova, size }) => {
      const parts: DmaRange[] = [];
      for (let at = 0; at < ranges.length; at += 2) {
        const [first = 0n, length = 0n] = ranges.subarray(at, at + 2);
        const start = first > iova ? first : iova;
        const end = first + length < iova + size ? first + length : iova + size;
        if (start < end) parts.push({ iova: start, size: end - start });
      }
      return parts;
    });
  }

  /** Somebody has ended a device's log: all of it may be dirty, and from now on it is logged again. */
  #lost(member: ContainerMember, bitmap: Uint8Array, length: bigint, pageSize: bigint): void {
    const pages = Number((length + pageSize - 1n) / pageSize);
    for (let page = 0; page < pages; page++) setBit(bitmap, page);
    this.add(member);
  }
}
