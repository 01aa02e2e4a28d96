import type { Registers } from '../block.ts';

interface CapabilityBase<N extends string, R extends Registers> {
  /** Name of the capability's registers in config space, such as `PCIE`. */
  readonly name: N;
  /** Byte offset in config space; the next free place when absent. */
  readonly offset?: number;
  /** Bytes, header included. */
  readonly size: number;
  /** With offsets relative to the capability; without its header. */
  readonly registers: R;
}

/** A capability of the first 256 bytes, see {@link Capability}. */
export interface StandardCapability<N extends string = string, R extends Registers = Registers> extends CapabilityBase<
  N,
  R
> {
  /** Capability id, 8 bits. */
  readonly id: number;
  readonly version?: undefined;
}

/** A capability behind the first 256 bytes, see {@link Capability}. */
export interface ExtendedCapability<N extends string = string, R extends Registers = Registers> extends CapabilityBase<
  N,
  R
> {
  /** Extended capability id, 16 bits. */
  readonly id: number;
  /** 1 to 15. */
  readonly version: number;
}

/**
 * A PCI capability: its registers, with offsets relative to the capability. Plain data, so that a vendor can write any
 * capability that this package does not have. One with a version is an extended one.
 *
 * The header is not declared: {@link configSpace} adds it, bytes 0 and 1 (`ID`, `NEXT`) of a standard capability and
 * bytes 0 to 3 (`HEADER`) of an extended one, and links the chain.
 */
export type Capability<N extends string = string, R extends Registers = Registers> =
  StandardCapability<N, R> | ExtendedCapability<N, R>;

/** Where a capability is to be; for the options of those that this package declares. */
export interface CapabilityPlace {
  /** Byte offset in config space, a multiple of 4; the next free place when absent. */
  readonly offset?: number;
}

/** The part of a capability that its place is. */
export function placeOf({ offset }: CapabilityPlace): CapabilityPlace {
  return offset === undefined ? {} : { offset };
}

/** A capability at its place in config space. */
export type PlacedCapability = Capability & { readonly offset: number };

/** Declares a capability; the same as writing the object, with its types kept. */
export function capability<const C extends Capability>(declaration: C): C {
  return declaration;
}
