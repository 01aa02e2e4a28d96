import { DeclarationError } from '../declaration-error.ts';
import type { Registers } from '../block.ts';
import { ro } from '../field.ts';
import { reg32, reg8 } from '../register.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf, type StandardCapability } from './capability.ts';
import { CapabilityId, ExtendedCapabilityId } from './capability-ids.ts';

/** Options of {@link vendorSpecific}. */
export interface VendorSpecificOptions<N extends string, R extends Registers> extends CapabilityPlace {
  /** Name of its registers in config space. */
  readonly name: N;
  /** Bytes, header included: 3 to 192. */
  readonly size: number;
  /** The vendor's own, from byte 3 on. */
  readonly registers: R;
}

/** Options of {@link vendorSpecificExtended}. */
export interface VendorSpecificExtendedOptions<N extends string, R extends Registers> extends CapabilityPlace {
  /** Name of its registers in config space. */
  readonly name: N;
  /** The vendor's number for this structure, 16 bits. */
  readonly id: number;
  /** The vendor's revision of this structure, 0 to 15; 0 when absent. */
  readonly revision?: number;
  /** Bytes, headers included: 8 to 3,840. */
  readonly size: number;
  /** The vendor's own, from byte 8 on. */
  readonly registers: R;
}

function lengthRegister(size: number) {
  return { LENGTH: reg8(0x02, { bytes: ro(7, 0) }, { reset: size, constant: true }) } as const;
}

function vsecHeader(id: number, revision: number, size: number) {
  return {
    VSEC_HEADER: reg32(
      0x04,
      { id: ro(15, 0), revision: ro(19, 16), bytes: ro(31, 20) },
      { reset: id + revision * 2 ** 16 + size * 2 ** 20, constant: true },
    ),
  } as const;
}

/** Registers that {@link vendorSpecific} adds to the vendor's. */
export type VendorSpecificRegisters = ReturnType<typeof lengthRegister>;
/** Registers that {@link vendorSpecificExtended} adds to the vendor's. */
export type VendorSpecificExtendedRegisters = ReturnType<typeof vsecHeader>;

/**
 * A vendor-specific capability of the first 256 bytes (PCI Local Bus Specification 3.0, appendix H).
 *
 * @throws {@link DeclarationError} if the size is none of 3 to 192
 */
export function vendorSpecific<const N extends string, const R extends Registers>(
  options: VendorSpecificOptions<N, R>,
): StandardCapability<N, VendorSpecificRegisters & R> {
  const { name, size, registers } = options;
  if (!Number.isInteger(size) || size < 3 || size > 192)
    throw new DeclarationError(`vendorSpecific: ${name} has ${size} bytes, expected 3 to 192`);
  return {
    name,
    id: CapabilityId.vendorSpecific,
    size,
    registers: { ...lengthRegister(size), ...registers },
    ...placeOf(options),
  };
}

/**
 * A vendor-specific extended capability, VSEC (Base Specification 5.0, 7.9.5).
 *
 * @throws {@link DeclarationError} if id, revision or size do not fit
 */
export function vendorSpecificExtended<const N extends string, const R extends Registers>(
  options: VendorSpecificExtendedOptions<N, R>,
): ExtendedCapability<N, VendorSpecificExtendedRegisters & R> {
  const { name, id, revision = 0, size, registers } = options;
  const within = (what: string, value: number, least: number, most: number): void => {
    if (!Number.isInteger(value) || value < least || value > most)
      throw new DeclarationError(`vendorSpecificExtended: ${name} has ${what} ${value}, expected ${least} to ${most}`);
  };
  within('id', id, 0, 0xffff);
  within('revision', revision, 0, 15);
  within('size', size, 8, 0xf00);
  return {
    name,
    id: ExtendedCapabilityId.vendorSpecific,
    version: 1,
    size,
    registers: { ...vsecHeader(id, revision, size), ...registers },
    ...placeOf(options),
  };
}
