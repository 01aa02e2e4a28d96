import { type FeatureRequest, type RegionInfo, VfioError, VfioRegionFlag } from '../../mdev/index.ts';
import { checkFeature, checkInteger } from '../../mdev/vfio/vfio-requests.ts';
import { Command, DeviceFeatureFlag, MAX_TRANSFER } from '../protocol/constants.ts';
import {
  decodeDeviceFeature,
  decodeMigrationData,
  decodeRegionCapabilities,
  decodeRegionInfo,
  decodeRegionIoFd,
  decodeRegionIoFds,
  decodeRegionWritesDone,
  DEVICE_FEATURE_SIZE,
  encodeDeviceFeature,
  encodeMigrationDataRead,
  encodeRegionInfo,
  encodeRegionIoFds,
  encodeRegionWriteMulti,
  MIGRATION_DATA_SIZE,
  REGION_INFO_SIZE,
  REGION_IO_FD_SIZE,
  REGION_IO_FDS_SIZE,
  type RegionIoFd,
} from '../protocol/structures/index.ts';
import type { Question, Reply } from './request-channel.ts';

/** What GET_REGION_INFO told. */
export interface RegionReply {
  /** Bytes that all of it needs. */
  readonly argsz: number;
  readonly info: RegionInfo;
  /** Where the region begins in the files, bytes. */
  readonly fileOffset: number;
  /** Files to be mapped, which whoever asked closes. */
  readonly fds: readonly number[];
}

/** GET_REGION_INFO with room for `argsz` bytes. */
export function regionInfoQuestion(index: number, argsz: number, replyFds: number): Question<RegionReply> {
  const body = encodeRegionInfo({ argsz, flags: 0, index, capabilityOffset: 0, size: 0, offset: 0 });
  const decode = ({ body: reply, fds }: Reply): RegionReply | undefined => {
    const told = decodeRegionInfo(reply);
    if (told?.index !== index || told.argsz < REGION_INFO_SIZE || told.argsz > MAX_TRANSFER) return undefined;
    const { capabilityOffset, flags, offset, size } = told;
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(offset)) return undefined;
    if ((flags & VfioRegionFlag.capabilities) === 0 || capabilityOffset === 0) {
      const info = { index, size, flags: flags & ~VfioRegionFlag.capabilities };
      return { argsz: told.argsz, info, fileOffset: offset, fds };
    }
    if (capabilityOffset < REGION_INFO_SIZE) return undefined;
    const capabilities = decodeRegionCapabilities(reply, capabilityOffset);
    return capabilities && { argsz: told.argsz, info: { index, size, flags, capabilities }, fileOffset: offset, fds };
  };
  return { command: Command.deviceGetRegionInfo, body, replyFds, decode };
}

/** An eventfd that stands for writes of a region: signalling it is such a write, without a message. */
export interface RegionEventFd {
  /** In the region, bytes. */
  readonly offset: number;
  /** Bytes of the write; 0: any. */
  readonly size: number;
  /** Undefined: the writes are to be sent as messages. */
  readonly fd: number | undefined;
  /** The value that is meant; any when absent. */
  readonly datamatch?: bigint;
}

/** What GET_REGION_IO_FDS told. */
export interface RegionEventFds extends Disposable {
  readonly entries: readonly RegionEventFd[];
}

/** What a server without an eventfd for a sub-region says. */
const NO_FD = 0xffff_ffff;

/** GET_REGION_IO_FDS's answer: its entries, or how many bytes they need. */
export interface RegionIoFdsReply {
  readonly argsz: number;
  readonly entries: readonly RegionEventFd[] | undefined;
  readonly fds: readonly number[];
}

/** GET_REGION_IO_FDS with room for `argsz` bytes. */
export function regionIoFdsQuestion(index: number, argsz: number, replyFds: number): Question<RegionIoFdsReply> {
  const body = encodeRegionIoFds({ argsz, flags: 0, index, count: 0 });
  const decode = ({ body: reply, fds }: Reply): RegionIoFdsReply | undefined => {
    const told = decodeRegionIoFds(reply);
    if (told?.index !== index || told.argsz > MAX_TRANSFER) return undefined;
    const needed = REGION_IO_FDS_SIZE + told.count * REGION_IO_FD_SIZE;
    if (told.argsz < needed) return undefined;
    // Too little room: only the front.
    if (needed > argsz) return fds.length === 0 ? { argsz: needed, entries: undefined, fds } : undefined;
    if (reply.length < needed) return undefined;
    const entries: RegionEventFd[] = [];
    for (let n = 0; n < told.count; ++n) {
      const entry = ioEventFd(decodeRegionIoFd(reply, n), fds);
      if (entry === undefined) return undefined;
      entries.push(entry);
    }
    return { argsz: needed, entries, fds };
  };
  return { command: Command.deviceGetRegionIoFds, body, replyFds, decode };
}

function ioEventFd(entry: RegionIoFd | undefined, fds: readonly number[]): RegionEventFd | undefined {
  if (entry === undefined) return undefined;
  const { fdIndex, ...rest } = entry;
  const fd = fdIndex === NO_FD ? undefined : fds[fdIndex];
  return fd === undefined && fdIndex !== NO_FD ? undefined : { ...rest, fd };
}

/** DEVICE_FEATURE. @throws {@link VfioError} `EINVAL` */
export function featureQuestion(request: FeatureRequest): Question<Uint8Array> {
  checkFeature(request);
  const { data = new Uint8Array(0), get = false, index, probe = false, replySize, set = false } = request;
  const { get: getFlag, probe: probeFlag, set: setFlag } = DeviceFeatureFlag;
  const flags = index | (get ? getFlag : 0) | (set ? setFlag : 0) | (probe ? probeFlag : 0);
  const room = Math.max(data.length, replySize ?? 0);
  const body = encodeDeviceFeature(flags, data, DEVICE_FEATURE_SIZE + room);
  const decode = ({ body: reply }: Reply): Uint8Array | undefined => {
    const told = decodeDeviceFeature(reply);
    return told?.flags === flags && told.data.length <= room ? told.data : undefined;
  };
  return { command: Command.deviceFeature, body, decode };
}

/** MIG_DATA_READ. */
export function migrationReadQuestion(size: number): Question<Uint8Array> {
  const decode = ({ body: reply }: Reply): Uint8Array | undefined => {
    const told = decodeMigrationData(reply);
    // Some servers pad what they have to what was asked for.
    const isWhole = told !== undefined && told.size <= size && reply.length >= MIGRATION_DATA_SIZE + told.size;
    return isWhole ? reply.subarray(MIGRATION_DATA_SIZE, MIGRATION_DATA_SIZE + told.size) : undefined;
  };
  return { command: Command.migrationDataRead, body: encodeMigrationDataRead(size), decode };
}

/** One of several writes in one message. */
export interface RegionWriteRequest {
  readonly region: number;
  /** Bytes, 0 to 2^53 - 1. */
  readonly offset: number;
  /** 1 to 8 bytes. */
  readonly data: Uint8Array;
}

/** REGION_WRITE_MULTI. @throws {@link VfioError} `EINVAL` */
export function regionWritesQuestion(writes: readonly RegionWriteRequest[]): Question<number> {
  const name = 'regionWriteMultiple';
  const entries = writes.map(({ data, offset, region }) => {
    checkInteger(name, 'the region', region);
    checkInteger(name, 'the offset', offset, Number.MAX_SAFE_INTEGER);
    if (data.length === 0 || data.length > 8) {
      throw VfioError.badArgument(name, `a write has ${data.length} bytes; expected 1 to 8`);
    }
    return { region, offset: BigInt(offset), data };
  });
  const decode = ({ body: reply }: Reply): number | undefined => {
    const done = decodeRegionWritesDone(reply);
    return done !== undefined && done <= BigInt(writes.length) ? Number(done) : undefined;
  };
  return { command: Command.regionWriteMultiple, body: encodeRegionWriteMulti(entries), decode };
}
