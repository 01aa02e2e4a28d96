import { hex, high32, join64, low32 } from './bits.ts';
import type { Width } from './register.ts';

/** A register's whole value from its halves: a number up to 32 bits, a bigint for 64. */
export function valueOf(width: Width, low: number, high: number): number | bigint {
  return width === 64 ? join64(low, high) : low >>> 0;
}

/** The halves of a register's whole value, signed. Throws unless it is of the register's type and fits. */
export function halvesOf(width: Width, value: unknown, path: string): readonly [low: number, high: number] {
  if (width === 64) {
    if (typeof value !== 'bigint') throw new TypeError(`${path}: ${String(value)} is not a bigint`);
    if (value < 0n || value >> 64n !== 0n) throw new RangeError(`${path}: ${hex(value)} does not fit in 64 bits`);
    return [low32(value), high32(value)];
  }
  if (typeof value !== 'number') throw new TypeError(`${path}: ${String(value)} is not a number`);
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** width)
    throw new RangeError(`${path}: ${value} does not fit in ${width} bits`);
  return [value | 0, 0];
}
