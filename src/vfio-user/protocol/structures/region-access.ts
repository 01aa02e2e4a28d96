import { viewOf } from './bytes.ts';

/** The front of REGION_READ, REGION_WRITE and their replies: 16 bytes, data behind them. */
export interface RegionAccess {
  readonly offset: bigint;
  readonly region: number;
  /** Bytes. */
  readonly count: number;
}
export const REGION_ACCESS_SIZE = 16;

/** Undefined when the body is too short. */
export function decodeRegionAccess(body: Uint8Array): RegionAccess | undefined {
  if (body.length < REGION_ACCESS_SIZE) return undefined;
  const view = viewOf(body);
  return { offset: view.getBigUint64(0, true), region: view.getUint32(8, true), count: view.getUint32(12, true) };
}

export function encodeRegionAccess(access: RegionAccess, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(REGION_ACCESS_SIZE + data.length);
  const view = viewOf(bytes);
  view.setBigUint64(0, access.offset, true);
  view.setUint32(8, access.region, true);
  view.setUint32(12, access.count, true);
  bytes.set(data, REGION_ACCESS_SIZE);
  return bytes;
}
