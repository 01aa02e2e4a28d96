import { constants } from 'node:os';

import { type RegionCapabilities, type RegionInfo, VFIO_REGIONS, VfioRegionFlag } from '../../../mdev/index.ts';
import {
  decodeRegionInfo,
  encodeRegionCapabilities,
  encodeRegionInfo,
  joined,
  REGION_INFO_SIZE,
} from '../../protocol/structures/index.ts';

const { EINVAL } = constants.errno;
const ACCESS_FLAGS = VfioRegionFlag.read | VfioRegionFlag.write;

/** What a server needs to know of a region. */
export type ServedRegion = Pick<RegionInfo, 'size' | 'flags' | 'capabilities' | 'map'>;

/** GET_REGION_INFO's reply. */
export interface RegionInfoAnswer {
  readonly body: Uint8Array;
  /** Files to be mapped, which stay the device's. */
  readonly fds: readonly number[];
}

/** Region indices of a device: those of PCI, and its own. */
export function regionCount(regions: readonly ServedRegion[]): number {
  return Math.max(VFIO_REGIONS, regions.length);
}

/**
 * Answers GET_REGION_INFO. EINVAL: a malformed request, or no such index.
 *
 * A client that gave too little room for the capabilities is told how much they need, and asks again. The capabilities' flag
 * is not set then, unlike in the kernel's answer: QEMU refuses the flag without an offset.
 *
 * @param maxFds file descriptors that the client takes in one message. A region that has more cannot be mapped by it.
 */
export function answerRegionInfo(
  regions: readonly ServedRegion[],
  body: Uint8Array,
  maxFds: number,
): RegionInfoAnswer | number {
  const request = decodeRegionInfo(body);
  if (request === undefined || request.argsz < REGION_INFO_SIZE || request.index >= regionCount(regions)) return EINVAL;
  const { argsz, index } = request;
  const { capabilities: all = {}, flags = 0, map, size = 0 } = regions[index] ?? {};
  const fds = size > 0 && map !== undefined && map.fds.length <= maxFds ? map.fds : [];
  const chain = encodeRegionCapabilities(fds.length > 0 ? all : unmapped(all), REGION_INFO_SIZE);
  const needed = REGION_INFO_SIZE + chain.length;
  const fits = argsz >= needed;
  const chained = chain.length > 0 && fits;
  const front = encodeRegionInfo({
    argsz: needed,
    flags:
      size === 0
        ? 0
        : (flags & ACCESS_FLAGS) |
          (fds.length > 0 ? VfioRegionFlag.mmap : 0) |
          (chained ? VfioRegionFlag.capabilities : 0),
    index,
    capabilityOffset: chained ? REGION_INFO_SIZE : 0,
    size,
    // What is at an offset in the region is there in its file.
    offset: 0,
  });
  return { body: chained ? joined(front, chain) : front, fds: fits ? fds : [] };
}

/** What is left of a region's capabilities for a client that cannot map it. */
function unmapped({ subtype, type }: RegionCapabilities): RegionCapabilities {
  return { ...(type !== undefined && { type }), ...(subtype !== undefined && { subtype }) };
}
