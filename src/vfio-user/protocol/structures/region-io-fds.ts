import { joined, longs, viewOf, words } from './bytes.ts';

/** The front of GET_REGION_IO_FDS, request and reply: 16 bytes, {@link RegionIoFd} behind them. */
export interface RegionIoFds {
  readonly argsz: number;
  readonly flags: number;
  readonly index: number;
  /** Entries. */
  readonly count: number;
}
export const REGION_IO_FDS_SIZE = 16;

/** One entry: a write that is signalled by an eventfd of the message. The specification's 40 bytes. */
export interface RegionIoFd {
  /** In the region, bytes. */
  readonly offset: number;
  /** Bytes of the access. */
  readonly size: number;
  /** Which file descriptor of the message. */
  readonly fdIndex: number;
  /** Absent: any value. */
  readonly datamatch?: bigint;
}
export const REGION_IO_FD_SIZE = 40;

/** VFIO_USER_IO_FD_TYPE_IOEVENTFD. */
const TYPE_IOEVENTFD = 0;
/** KVM_IOEVENTFD_FLAG_DATAMATCH. */
const FLAG_DATAMATCH = 1;

/** Undefined when the body is too short. */
export function decodeRegionIoFds(body: Uint8Array): RegionIoFds | undefined {
  if (body.length < REGION_IO_FDS_SIZE) return undefined;
  const view = viewOf(body);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    index: view.getUint32(8, true),
    count: view.getUint32(12, true),
  };
}

export function encodeRegionIoFds(info: RegionIoFds, entries: readonly RegionIoFd[] = []): Uint8Array {
  return joined(words(info.argsz, info.flags, info.index, info.count), ...entries.map(encodeRegionIoFd));
}

function encodeRegionIoFd({ offset, size, fdIndex, datamatch }: RegionIoFd): Uint8Array {
  const flags = datamatch === undefined ? 0 : FLAG_DATAMATCH;
  return joined(longs(BigInt(offset), BigInt(size)), words(fdIndex, TYPE_IOEVENTFD, flags, 0), longs(datamatch ?? 0n));
}

/** Entry number `n` of a reply; undefined when it is not there, or of another kind. */
export function decodeRegionIoFd(body: Uint8Array, n: number): RegionIoFd | undefined {
  const entry = body.subarray(REGION_IO_FDS_SIZE + n * REGION_IO_FD_SIZE).subarray(0, REGION_IO_FD_SIZE);
  if (entry.length < REGION_IO_FD_SIZE) return undefined;
  const view = viewOf(entry);
  if (view.getUint32(20, true) !== TYPE_IOEVENTFD) return undefined;
  const matches = (view.getUint32(24, true) & FLAG_DATAMATCH) !== 0;
  return {
    offset: Number(view.getBigUint64(0, true)),
    size: Number(view.getBigUint64(8, true)),
    fdIndex: view.getUint32(16, true),
    ...(matches && { datamatch: view.getBigUint64(32, true) }),
  };
}
