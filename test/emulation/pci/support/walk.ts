import type { RegisterRegion } from '../../../../src/emulation/index.ts';
import { readNumber } from '../../support/bytes.ts';

/** A capability that a driver finds. */
export interface Found {
  readonly id: number;
  readonly version: number | undefined;
  readonly offset: number;
}

/** Walks both capability chains as a driver does. */
export function walk(region: RegisterRegion, size: number): readonly Found[] {
  const found: Found[] = [];
  const u32 = (at: number): number => Number(readNumber(region, at, 4));
  const hasList = ((u32(0x04) >>> 20) & 1) === 1;
  for (let at = hasList ? u32(0x34) & 0xff : 0; at !== 0 && found.length < 100; at = (u32(at) >>> 8) & 0xff)
    found.push({ id: u32(at) & 0xff, version: undefined, offset: at });
  if (size > 256 && u32(0x100) !== 0)
    for (let at = 0x100; at !== 0 && found.length < 100; at = u32(at) >>> 20)
      found.push({ id: u32(at) & 0xffff, version: (u32(at) >>> 16) & 0xf, offset: at });
  return found;
}
