import { DeclarationError } from '../declaration-error.ts';
import { ro, rw } from '../field.ts';
import { reg16 } from '../register.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf } from './capability.ts';
import { ExtendedCapabilityId } from './capability-ids.ts';

/** Options of {@link pasid}. */
export interface PasidOptions extends CapabilityPlace {
  /** Bits of a PASID: 1 to 20, 20 when absent. */
  readonly width?: number;
  /** Whether requests may ask for execute permission; false when absent. */
  readonly execute?: boolean;
  /** Whether requests may be privileged; false when absent. */
  readonly privileged?: boolean;
}

/** Type of the registers of {@link pasid}. */
export type PasidRegisters = ReturnType<typeof registers>;

function registers({ width = 20, execute = false, privileged = false }: PasidOptions) {
  return {
    CAPABILITY: reg16(
      0x04,
      { execute: ro(1), privileged: ro(2), width: ro(12, 8) },
      { reset: (execute ? 1 << 1 : 0) | (privileged ? 1 << 2 : 0) | (width << 8), constant: true },
    ),
    CONTROL: reg16(0x06, {
      enable: rw(0),
      execute: execute ? rw(1) : ro(1),
      privileged: privileged ? rw(2) : ro(2),
    }),
  } as const;
}

/**
 * Process Address Space ID (Base Specification 5.0, 7.8.8): 8 bytes, named `PASID`. Declaration only: a device that
 * sends PASIDs hooks `PASID.CONTROL`.
 *
 * @throws {@link DeclarationError} if the width is none of 1 to 20
 */
export function pasid(options: PasidOptions = {}): ExtendedCapability<'PASID', PasidRegisters> {
  const { width = 20 } = options;
  if (!Number.isInteger(width) || width < 1 || width > 20)
    throw new DeclarationError(`pasid: width ${width}, expected 1 to 20`);
  return {
    name: 'PASID',
    id: ExtendedCapabilityId.pasid,
    version: 1,
    size: 8,
    registers: registers(options),
    ...placeOf(options),
  };
}
