import { DeclarationError } from '../declaration-error.ts';
import { ro } from '../field.ts';
import { reg32 } from '../register.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf } from './capability.ts';
import { ExtendedCapabilityId } from './capability-ids.ts';

/** Type of the registers of {@link deviceSerialNumber}. */
export type DeviceSerialNumberRegisters = ReturnType<typeof registers>;

function registers(serial: bigint) {
  return {
    LOWER: reg32(0x04, { serial: ro(31, 0) }, { reset: serial & 0xffff_ffffn, constant: true }),
    UPPER: reg32(0x08, { serial: ro(31, 0) }, { reset: serial >> 32n, constant: true }),
  } as const;
}

/**
 * Device Serial Number (Base Specification 5.0, 7.9.3): 12 bytes, named `DSN`.
 *
 * @param options - `serial` is an EUI-64, 64 bits
 * @throws {@link DeclarationError} if the serial number does not fit in 64 bits
 */
export function deviceSerialNumber(
  options: CapabilityPlace & { readonly serial: bigint },
): ExtendedCapability<'DSN', DeviceSerialNumberRegisters> {
  const { serial } = options;
  if (serial < 0n || serial >> 64n !== 0n)
    throw new DeclarationError(`deviceSerialNumber: ${serial} does not fit in 64 bits`);
  return {
    name: 'DSN',
    id: ExtendedCapabilityId.deviceSerialNumber,
    version: 1,
    size: 12,
    registers: registers(serial),
    ...placeOf(options),
  };
}
