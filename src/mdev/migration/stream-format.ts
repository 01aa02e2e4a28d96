import { viewOf } from '../base/bytes.ts';
import { MdevError } from '../errors/mdev-error.ts';

/**
 * The stream of a device's state, little-endian:
 *
 * 1. a front of 16 bytes: u32 magic, u32 format version, u32 bytes of the header, u32 zero;
 * 2. the header, JSON in UTF-8 ({@link StreamHeader});
 * 3. records, each with a front of 16 bytes (u32 {@link RecordKind}, u32 zero, u64 bytes of data): at most one `early`, then one `state`, then one
 *    `payload`, and nothing behind it.
 *
 * `state` holds the sections that the header lists, one behind the other. Everything in front of it may be sent while the device runs.
 */
export const STREAM = {
  magic: 0x7665_646d,
  version: 1,
  frontSize: 16,
  headerMax: 65_536,
  recordFrontSize: 16,
} as const;

/** What a record of the stream is. */
export const RecordKind = { early: 1, state: 2, payload: 3 } as const;

/** The front of the stream and its header. */
export function encodeFront(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(STREAM.frontSize + header.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, STREAM.magic, true);
  view.setUint32(4, STREAM.version, true);
  view.setUint32(8, header.length, true);
  bytes.set(header, STREAM.frontSize);
  return bytes;
}

/**
 * Bytes of the header behind a front.
 * @throws {@link MdevError} `EINVAL` when it is none.
 */
export function readFront(front: Uint8Array): number {
  const view = viewOf(front);
  const [magic, version, size, zero] = [0, 4, 8, 12].map((at) => view.getUint32(at, true));
  if (magic !== STREAM.magic) throw refused(`it begins with 0x${hex(magic)}, expected 0x${hex(STREAM.magic)}`);
  if (version !== STREAM.version) throw refused(`its format version is ${version}, expected ${STREAM.version}`);
  if (size === undefined || size > STREAM.headerMax || zero !== 0) {
    throw refused(`its header has ${size} bytes, expected at most ${STREAM.headerMax}`);
  }
  return size;
}

/** One record with its front. */
export function encodeRecord(kind: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(STREAM.recordFrontSize + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind, true);
  view.setBigUint64(8, BigInt(data.length), true);
  bytes.set(data, STREAM.recordFrontSize);
  return bytes;
}

/** One record of a stream. */
export interface StreamRecord {
  readonly kind: number;
  readonly data: Uint8Array;
}

/**
 * Takes records apart; they are all of `bytes`.
 * @throws {@link MdevError} `EINVAL` when one is not whole, or more than `most` are there.
 */
export function decodeRecords(bytes: Uint8Array, most: number): readonly StreamRecord[] {
  const records: StreamRecord[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    if (records.length === most) throw refused(`it has more than ${most} records`);
    if (bytes.length - at < STREAM.recordFrontSize) throw refused('it ends inside the front of a record');
    const kind = view.getUint32(at, true);
    const zero = view.getUint32(at + 4, true);
    const size = view.getBigUint64(at + 8, true);
    at += STREAM.recordFrontSize;
    if (zero !== 0 || size > BigInt(bytes.length - at)) {
      throw refused(`record ${kind} has ${size} bytes, ${bytes.length - at} follow`);
    }
    records.push({ kind, data: bytes.subarray(at, at + Number(size)) });
    at += Number(size);
  }
  return records;
}

/** What is wrong with a stream. */
export function refused(problem: string, cause?: unknown): MdevError {
  return new MdevError('EINVAL', `migration stream: ${problem}`, cause === undefined ? {} : { cause });
}

/** What a client has sent, for a message: it stays one line, and a short one. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

function hex(value: number | undefined): string {
  return (value ?? 0).toString(16);
}
