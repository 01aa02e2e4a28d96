import { constants } from 'node:os';

import type { DeviceCore, DmaMap } from '../../native/binding.ts';
import { errnoName, errnoOfError } from '../../native/errno.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import type { DmaRange } from '../vfio/vfio-requests.ts';
import type { ContainerMember } from './container-member.ts';

const { EIO } = constants.errno;

/** The maps that a container and every device in it have: a change is made for all of them, or for none. */
export class SharedMaps {
  readonly #space: DeviceCore;
  readonly #members: ReadonlySet<ContainerMember>;
  readonly #who: string;
  readonly #unmapped: (member: ContainerMember, errno: number) => void;

  /**
   * @param space has the maps and the limits of the container itself.
   * @param who the container, for messages.
   * @param unmapped called with an errno, or 0, when memory was taken away from a device.
   */
  constructor(
    space: DeviceCore,
    members: ReadonlySet<ContainerMember>,
    who: string,
    unmapped: (member: ContainerMember, errno: number) => void,
  ) {
    this.#space = space;
    this.#members = members;
    this.#who = who;
    this.#unmapped = unmapped;
  }

  /** An identical repeat succeeds. @throws {@link VfioError} that names who refused. */
  map(map: DmaMap): void {
    const { iova, size } = map;
    const before = this.#space.dmaInfo().mappingsAvailable;
    const errno = mapInto(this.#space, map);
    if (errno !== 0) throw refusal('dmaMap', errno, this.#who);
    // Everybody has it already.
    if (this.#space.dmaInfo().mappingsAvailable === before) return;
    const mapped: ContainerMember[] = [];
    for (const member of this.#members) {
      const errno = mapInto(member.core, map);
      if (errno === 0) {
        mapped.push(member);
        continue;
      }
      this.#space.dmaUnmap(iova, size);
      for (const done of mapped) this.#unmapFrom(done, map);
      throw refusal('dmaMap', errno, `${member.who} in ${this.#who}`);
    }
  }

  /** @throws {@link VfioError} when the range cuts a map. */
  unmap(range: DmaRange): void {
    const errno = this.#space.dmaUnmap(range.iova, range.size);
    if (errno !== 0) throw VfioError.refused('dmaUnmap', errno);
    for (const member of this.#members) this.#unmapFrom(member, range);
  }

  unmapAll(): void {
    this.#space.dmaUnmapAll();
    for (const { core } of this.#members) core.dmaUnmapAll();
  }

  /** Takes the memory away and keeps the maps. @throws {@link VfioError} */
  invalidateVaddr(range: DmaRange): void {
    const errno = this.#space.dmaInvalidateVaddr(range.iova, range.size);
    if (errno !== 0) throw VfioError.refused('invalidateVaddr', errno);
    for (const member of this.#members) this.#invalidateFor(member, range);
  }

  /** Puts memory behind a map that has none. @throws {@link VfioError} that names who refused. */
  restoreVaddr({ fd, iova, offset, size }: Pick<DmaMap, 'fd' | 'iova' | 'offset' | 'size'>): void {
    const restored: ContainerMember[] = [];
    const restoreIn = (core: DeviceCore, who: string): void => {
      const errno = orErrno(() => core.dmaRestoreVaddr(iova, size, fd, offset));
      if (errno !== 0) throw refusal('restoreVaddr', errno, who);
    };
    restoreIn(this.#space, this.#who);
    try {
      for (const member of this.#members) {
        restoreIn(member.core, `${member.who} in ${this.#who}`);
        restored.push(member);
      }
    } catch (error) {
      this.#space.dmaInvalidateVaddr(iova, size);
      for (const member of restored) this.#invalidateFor(member, { iova, size });
      throw error;
    }
  }

  /** Gives a device that has no maps all of them, or none. @throws {@link MdevError} `EINVAL` for one that it cannot have; `EBUSY` while one has no memory. */
  giveTo({ core, who }: ContainerMember): void {
    for (const map of this.#space.dmaMaps()) {
      if (!map.valid) {
        core.dmaUnmapAll();
        throw new MdevError('EBUSY', `the memory at 0x${map.iova.toString(16)} of ${this.#who} is being exchanged`);
      }
      const errno = mapInto(core, map);
      if (errno === 0) continue;
      core.dmaUnmapAll();
      throw new MdevError(
        'EINVAL',
        `${this.#who} has a map of 0x${map.size.toString(16)} bytes at 0x${map.iova.toString(16)} that ${who} refuses with ` +
          errnoName(errno),
      );
    }
  }

  #unmapFrom(member: ContainerMember, { iova, size }: DmaRange): void {
    this.#unmapped(member, member.core.dmaUnmap(iova, size));
  }

  #invalidateFor(member: ContainerMember, { iova, size }: DmaRange): void {
    this.#unmapped(member, member.core.dmaInvalidateVaddr(iova, size));
  }
}

function refusal(request: string, errno: number, who: string): VfioError {
  return new VfioError(errno, `${request} was refused with ${errnoName(errno)} by ${who}`, request);
}

/** Gives an errno, also for a descriptor that cannot be duplicated. */
function mapInto(core: DeviceCore, { fd, iova, offset, rights, size }: DmaMap): number {
  return orErrno(() => core.dmaMap(iova, size, rights, fd, offset));
}

/** What a call returns, or the errno of what it throws. */
function orErrno(call: () => number): number {
  try {
    return call();
  } catch (error) {
    return errnoOfError(error, EIO);
  }
}
