import { constants } from 'node:os';

import { mapSealedFile } from '../../native/binding.ts';
import { errnoOfError } from '../../native/errno.ts';
import { messageOf } from '../base/message-of.ts';
import type { CacheAttribute } from '../regions/regions.ts';
import { type MmapArea, type RegionInfo, VfioRegionFlag } from './vfio.ts';
import { VfioError } from './vfio-error.ts';

const { E2BIG, EINVAL, EPROTO } = constants.errno;

/** A part of a region, mapped into this process. */
export interface MappedArea extends MmapArea {
  /**
   * The memory, `size` bytes; byte 0 is the one at `offset` of the region. It stays valid as long as it is used, also when the device is gone. What is
   * stored in a region that may not be written stays here.
   */
  readonly bytes: Uint8Array;
}

/** What of a region can be mapped, mapped into this process: the same bytes as the device has. */
export interface MappedRegion {
  /** By ascending offset. */
  readonly areas: readonly MappedArea[];
  /**
   * How the device wants a guest's mapping of it to be cached. Undefined behind a socket: the protocol does not carry it.
   * The views here are cached write-back in any case.
   */
  readonly cache: CacheAttribute | undefined;
}

/** Most areas of one region: each is a mapping of the process, and there are no more than 65,530 of those. */
const MAPPED_AREAS_MAX = 256;

const NAME = 'mapRegion';

/**
 * Maps what of a region can be mapped. The descriptors are needed no longer afterwards.
 *
 * @param fds one for all areas, or one for each.
 * @param fileOffset where the region begins in the files, bytes.
 * @throws {@link VfioError}, see `VfioDevice.mapRegion`.
 */
export function mapRegion(
  info: RegionInfo,
  fds: readonly number[],
  fileOffset: number,
  cache: CacheAttribute | undefined,
): MappedRegion {
  const { capabilities, flags, index, size } = info;
  if ((flags & VfioRegionFlag.mmap) === 0) throw refused(EINVAL, index, 'it cannot be mapped');
  const areas = info.map?.areas ?? capabilities?.mmapAreas ?? [{ offset: 0, size }];
  if (areas.length > MAPPED_AREAS_MAX) {
    throw refused(E2BIG, index, `it has ${areas.length} areas; expected at most ${MAPPED_AREAS_MAX}`);
  }
  const [only = -1] = fds;
  if (fds.length !== 1 && fds.length !== areas.length) {
    throw refused(EPROTO, index, `${fds.length} files for ${areas.length} areas`);
  }
  const writable = (flags & VfioRegionFlag.write) !== 0;
  const map = (area: MmapArea, fd: number): MappedArea => {
    if (area.offset > size || area.size > size - area.offset) {
      throw refused(EPROTO, index, `an area at ${area.offset}, ${area.size} bytes, is not in its ${size} bytes`);
    }
    try {
      const { offset, size: bytes } = area;
      return { offset, size: bytes, bytes: new Uint8Array(mapSealedFile(fd, fileOffset + offset, bytes, writable)) };
    } catch (error) {
      throw refused(errnoOfError(error, EINVAL), index, messageOf(error));
    }
  };
  return { areas: areas.map((area, number) => map(area, fds.length === 1 ? only : (fds[number] ?? -1))), cache };
}

function refused(errno: number, index: number, problem: string): VfioError {
  return new VfioError(errno, `${NAME}: region ${index}: ${problem}`, NAME);
}
