import { viewOf, words } from './bytes.ts';

/** DEVICE_GET_REGION_INFO, request and reply: 32 bytes, capabilities behind them. */
export interface RegionInfo {
  readonly argsz: number;
  readonly flags: number;
  readonly index: number;
  /** Where capabilities begin; 0: there are none. */
  readonly capabilityOffset: number;
  /** Bytes. */
  readonly size: number;
  /** For mmap. */
  readonly offset: number;
}
export const REGION_INFO_SIZE = 32;

/** Undefined when the body is too short. */
export function decodeRegionInfo(body: Uint8Array): RegionInfo | undefined {
  if (body.length < REGION_INFO_SIZE) return undefined;
  const view = viewOf(body);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    index: view.getUint32(8, true),
    capabilityOffset: view.getUint32(12, true),
    size: Number(view.getBigUint64(16, true)),
    offset: Number(view.getBigUint64(24, true)),
  };
}

export function encodeRegionInfo(info: RegionInfo): Uint8Array {
  const bytes = new Uint8Array(REGION_INFO_SIZE);
  bytes.set(words(info.argsz, info.flags, info.index, info.capabilityOffset));
  const view = viewOf(bytes);
  view.setBigUint64(16, BigInt(info.size), true);
  view.setBigUint64(24, BigInt(info.offset), true);
  return bytes;
}
