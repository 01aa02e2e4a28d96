import { joined, longs, viewOf, words } from './bytes.ts';

/** One write of REGION_WRITE_MULTI: 24 bytes. */
export interface RegionWrite {
  readonly region: number;
  readonly offset: bigint;
  /** 1 to 8 bytes. */
  readonly data: Uint8Array;
}
const REGION_WRITE_SIZE = 24;
/** Bytes in front of the writes: their number. The reply is this alone: how many were done. */
const REGION_WRITE_MULTI_SIZE = 8;

const DATA_MAX = 8;

export function encodeRegionWriteMulti(writes: readonly RegionWrite[]): Uint8Array {
  return joined(longs(BigInt(writes.length)), ...writes.map(encodeWrite));
}

function encodeWrite({ data, offset, region }: RegionWrite): Uint8Array {
  return joined(longs(offset), words(region, data.length), data, new Uint8Array(DATA_MAX - data.length));
}

/** Undefined when the body is not as long as its writes, or one of them has no data, or more than 8 bytes of it. */
export function decodeRegionWriteMulti(body: Uint8Array): readonly RegionWrite[] | undefined {
  const count = decodeRegionWritesDone(body);
  if (count === undefined || BigInt(body.length) !== 8n + count * BigInt(REGION_WRITE_SIZE)) return undefined;
  const writes: RegionWrite[] = [];
  for (let at = REGION_WRITE_MULTI_SIZE; at < body.length; at += REGION_WRITE_SIZE) {
    const view = viewOf(body.subarray(at, at + REGION_WRITE_SIZE));
    const size = view.getUint32(12, true);
    if (size === 0 || size > DATA_MAX) return undefined;
    writes.push({
      offset: view.getBigUint64(0, true),
      region: view.getUint32(8, true),
      data: body.subarray(at + 16, at + 16 + size),
    });
  }
  return writes;
}

/** The number in front of the writes, or of the reply. Undefined when the body is too short. */
export function decodeRegionWritesDone(body: Uint8Array): bigint | undefined {
  return body.length < REGION_WRITE_MULTI_SIZE ? undefined : viewOf(body).getBigUint64(0, true);
}
