import { DeclarationError } from '../declaration-error.ts';

/** Number of a base address register. */
export type BarNumber = 0 | 1 | 2 | 3 | 4 | 5;

/** A memory base address register. Plain data; made by {@link memoryBar}. */
export interface MemoryBar {
  readonly kind: 'memory';
  /** Bytes: a power of two, at least 16. */
  readonly size: number;
  /** Bits of the address; a 64-bit BAR takes the next register too. */
  readonly width: 32 | 64;
  readonly prefetchable: boolean;
}

/** An I/O base address register. Plain data; made by {@link ioBar}. */
export interface IoBar {
  readonly kind: 'io';
  /** Bytes: a power of two from 4 to 256. */
  readonly size: number;
  readonly width: 32;
  readonly prefetchable: false;
}

/** A base address register. */
export type Bar = MemoryBar | IoBar;

/** BARs by number. */
export type Bars = Readonly<Partial<Record<BarNumber, Bar>>>;

/**
 * Declares a memory BAR.
 *
 * @throws {@link DeclarationError} if the size is no power of two from 16 bytes to 2 GiB (32 bits) or 2^63 bytes (64 bits)
 */
export function memoryBar(options: { size: number; width?: 32 | 64; prefetchable?: boolean }): MemoryBar {
  const { size, width = 64, prefetchable = false } = options;
  const limit = 2 ** (width - 1);
  if (!Number.isInteger(Math.log2(size)) || size < 16 || size > limit)
    throw new DeclarationError(`memoryBar: size ${size} is not a power of two from 16 to 2^${width - 1}`);
  return { kind: 'memory', size, width, prefetchable };
}

/**
 * Declares an I/O BAR (PCI Local Bus Specification 3.0, 6.2.5.1): all 32 address bits are there, bit 1 is reserved.
 *
 * @throws {@link DeclarationError} if the size is no power of two from 4 to 256 bytes, which is the most that the specification allows
 */
export function ioBar(options: { size: number }): IoBar {
  const { size } = options;
  if (!Number.isInteger(Math.log2(size)) || size < 4 || size > 256)
    throw new DeclarationError(`ioBar: size ${size} is not a power of two from 4 to 256`);
  return { kind: 'io', size, width: 32, prefetchable: false };
}
