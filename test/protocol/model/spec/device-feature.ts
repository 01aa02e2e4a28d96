import type { Answer } from './answer.ts';
import type { Device } from './device.ts';
import { bitmapBytes } from './dirty-log.ts';
import { Errno, joined, long, longs, MAX_TRANSFER, word, words } from './wire.ts';

const { EINVAL, ENOTTY } = Errno;
const FRONT = 8;
const INDEX = 0xffff;
const GET = 1 << 16;
const SET = 1 << 17;
const PROBE = 1 << 18;
const REPORT = 24;
const STOP_COPY = 1n;
const P2P = 2n;
const PRE_COPY = 4n;
const NO_FD = 0xffff_ffff;

/** The data of an answer, or an errno. */
type Data = Uint8Array | number;

interface Feature {
  readonly get?: (data: Uint8Array, room: number) => Data;
  readonly set?: (data: Uint8Array) => Data;
}

/** DEVICE_FEATURE, by the rules of VFIO_DEVICE_FEATURE. */
export function deviceFeature(device: Device, body: Uint8Array): Answer {
  if (body.length < FRONT || word(body, 0) < FRONT) return EINVAL;
  const [argsz, flags] = [word(body, 0), word(body, 1)];
  if ((flags & ~(INDEX | GET | SET | PROBE)) !== 0) return EINVAL;
  const [get, set, probe] = [(flags & GET) !== 0, (flags & SET) !== 0, (flags & PROBE) !== 0];
  if (!probe && get === set) return EINVAL;
  const feature = features(device)[flags & INDEX];
  if (feature === undefined) return ENOTTY;
  if ((get && feature.get === undefined) || (set && feature.set === undefined)) return EINVAL;
  const data = body.slice(FRONT);
  const room = argsz - FRONT;
  // Answered with what was asked.
  if ((probe || set) && room < data.length) return EINVAL;
  if (probe) return { body: body.slice() };
  const answer = (get ? feature.get?.(data, room) : feature.set?.(data)) ?? EINVAL;
  return typeof answer === 'number' ? answer : { body: joined(words(FRONT + answer.length, flags), answer) };
}

function features(device: Device): Readonly<Record<number, Feature>> {
  return {
    1: { get: (_data, room) => (room < 8 ? EINVAL : longs(STOP_COPY | P2P | PRE_COPY)) },
    2: {
      get: (_data, room) => (room < 8 ? EINVAL : words(device.migration.state, NO_FD)),
      set: (data) => (data.length < 8 ? EINVAL : device.migration.setState(word(data, 0)) || data),
    },
    9: { get: (_data, room) => (room < 8 ? EINVAL : longs(BigInt(device.migration.stopCopySize))) },
    12: { set: (data) => data },
    6: { set: (data) => startLogging(device, data) },
    7: {
      set: (data) => {
        device.memory.dirty.stop();
        return data;
      },
    },
    8: { get: (data, room) => reportLogging(device, data, room) },
  };
}

function startLogging(device: Device, data: Uint8Array): Data {
  if (data.length < 16) return EINVAL;
  const count = word(data, 2);
  if (data.length < 16 + 16 * count) return EINVAL;
  const ranges = Array.from({ length: count }, (_, n) => ({
    first: long(data, 16 + 16 * n),
    size: long(data, 24 + 16 * n),
  }));
  const { dirty, maps } = device.memory;
  const errno = dirty.start(long(data, 0), ranges, maps);
  // The page size that was chosen.
  return errno === 0 ? joined(longs(dirty.page), data.subarray(8)) : errno;
}

function reportLogging(device: Device, data: Uint8Array, room: number): Data {
  if (data.length < REPORT) return EINVAL;
  const range = { first: long(data, 0), size: long(data, 8) };
  const pageSize = long(data, 16);
  if (range.size === 0n || pageSize === 0n) return EINVAL;
  if (bitmapBytes(range.size, pageSize) > BigInt(Math.min(room, MAX_TRANSFER) - REPORT)) return EINVAL;
  const { dirty, maps } = device.memory;
  const errno = dirty.checkReport(range, pageSize, maps);
  return errno === 0 ? joined(data.subarray(0, REPORT), dirty.report(range, pageSize)) : errno;
}
