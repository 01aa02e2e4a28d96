import type { Entry } from './entry.ts';

/** Bits 31:0 of a register after a guest wrote `data` to the bits under `lanes`. All signed. */
export function nextLow(entry: Entry, value: number, data: number, lanes: number): number {
  const stored = entry.writeLow & lanes;
  let next = (value & ~stored) | (data & stored);
  next &= ~(data & entry.w1cLow & lanes);
  next |= data & entry.w1sLow & lanes;
  return next & ~(~data & entry.w0cLow & lanes);
}

/** Bits 63:32 of a register after a guest wrote `data` to the bits under `lanes`. All signed. */
export function nextHigh(entry: Entry, value: number, data: number, lanes: number): number {
  const stored = entry.writeHigh & lanes;
  let next = (value & ~stored) | (data & stored);
  next &= ~(data & entry.w1cHigh & lanes);
  next |= data & entry.w1sHigh & lanes;
  return next & ~(~data & entry.w0cHigh & lanes);
}
