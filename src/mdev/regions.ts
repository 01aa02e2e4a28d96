import { type BarNumber, DeclarationError, type RegisterBlock } from '../emulation/index.ts';

/** How a BAR presents itself. */
export interface BarOptions {
  /** 32 or 64 address bits; 64 takes the next BAR's place too. 64 when absent. */
  readonly width?: 32 | 64;
  /** True when absent. */
  readonly prefetchable?: boolean;
}

/** A memory BAR whose contents are a register block. */
export interface MmioRegion<B extends RegisterBlock = RegisterBlock> {
  readonly kind: 'mmio';
  readonly block: B;
  /** Bytes. */
  readonly size: number;
  readonly width: 32 | 64;
  readonly prefetchable: boolean;
}

/**
 * A memory BAR that work is submitted to. An engine serves it; without one, reads give all ones and writes are dropped.
 */
export interface PortalRegion {
  readonly kind: 'portal';
  /** Bytes. */
  readonly size: number;
  readonly width: 32 | 64;
  readonly prefetchable: boolean;
}

/** What can be behind a BAR. */
export type Region = MmioRegion | PortalRegion;
/** Names of the BARs. */
export type BarName = 'bar0' | 'bar1' | 'bar2' | 'bar3' | 'bar4' | 'bar5';
/** The BARs of a type. */
export type Regions = Readonly<Partial<Record<BarName, Region>>>;

/** A BAR of a type. */
export interface DeclaredBar {
  readonly name: BarName;
  /** Its number, which is also its VFIO region index. */
  readonly index: BarNumber;
  readonly region: Region;
}

/** The BARs that a type has, by ascending index. */
export function barsOf(regions: Regions): readonly DeclaredBar[] {
  return (Object.entries(regions) as [BarName, Region][])
    .map(([name, region]) => ({ name, index: Number(name.slice('bar'.length)) as BarNumber, region }))
    .sort((left, right) => left.index - right.index);
}

function checkSize(what: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 16 || (BigInt(size) & (BigInt(size) - 1n)) !== 0n) {
    throw new DeclarationError(`${what}: ${size} bytes; a memory BAR is a power of two of at least 16`);
  }
}

/**
 * A memory BAR whose contents are a register block; its size is the block's.
 * @throws `DeclarationError` when the block's size is not a power of two of at least 16.
 */
export function mmio<B extends RegisterBlock>(block: B, options: BarOptions = {}): MmioRegion<B> {
  checkSize('mmio', block.size);
  return {
    kind: 'mmio',
    block,
    size: block.size,
    width: options.width ?? 64,
    prefetchable: options.prefetchable ?? true,
  };
}

/**
 * A memory BAR that engines take work from.
 * @throws `DeclarationError` when `size` (bytes) is not a power of two of at least 16.
 */
export function portal(options: BarOptions & { readonly size: number }): PortalRegion {
  checkSize('portal', options.size);
  return {
    kind: 'portal',
    size: options.size,
    width: options.width ?? 64,
    prefetchable: options.prefetchable ?? true,
  };
}
