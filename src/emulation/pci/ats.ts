import { DeclarationError } from '../declaration-error.ts';
import { ro, rw } from '../field.ts';
import { reg16 } from '../register.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf } from './capability.ts';
import { ExtendedCapabilityId } from './capability-ids.ts';

/** Options of {@link addressTranslation}. */
export interface AddressTranslationOptions extends CapabilityPlace {
  /** Invalidate requests that the function takes before it must be waited for: 1 to 32. 32 when absent. */
  readonly queueDepth?: number;
  /** Whether untranslated addresses are always page aligned; true when absent. */
  readonly pageAligned?: boolean;
  /** Whether an invalidation may be for all PASIDs; true when absent. */
  readonly globalInvalidate?: boolean;
  /** Whether translation requests may be relaxed in order; false when absent. */
  readonly relaxedOrdering?: boolean;
}

/** Type of the registers of {@link addressTranslation}. */
export type AddressTranslationRegisters = ReturnType<typeof registers>;

function registers(options: AddressTranslationOptions) {
  const { queueDepth = 32, pageAligned = true, globalInvalidate = true, relaxedOrdering = false } = options;
  const reset =
    (queueDepth % 32) | (pageAligned ? 1 << 5 : 0) | (globalInvalidate ? 1 << 6 : 0) | (relaxedOrdering ? 1 << 7 : 0);
  return {
    CAPABILITY: reg16(
      0x04,
      {
        /** 0 stands for 32. */
        queueDepth: ro(4, 0),
        pageAligned: ro(5),
        globalInvalidate: ro(6),
        relaxedOrdering: ro(7),
      },
      { reset, constant: true },
    ),
    CONTROL: reg16(0x06, {
      /** Smallest translation: 4 KiB times 2 to this power. */
      smallestTranslationUnit: rw(4, 0),
      enable: rw(15),
    }),
  } as const;
}

/**
 * Address Translation Services (Base Specification 5.0, 10.5.1): 8 bytes, named `ATS`. Declaration only: a device whose
 * engines ask for translations hooks `ATS.CONTROL`.
 *
 * @throws {@link DeclarationError} if the queue depth is none of 1 to 32
 */
export function addressTranslation(
  options: AddressTranslationOptions = {},
): ExtendedCapability<'ATS', AddressTranslationRegisters> {
  const { queueDepth = 32 } = options;
  if (!Number.isInteger(queueDepth) || queueDepth < 1 || queueDepth > 32)
    throw new DeclarationError(`addressTranslation: queue depth ${queueDepth}, expected 1 to 32`);
  return {
    name: 'ATS',
    id: ExtendedCapabilityId.addressTranslation,
    version: 1,
    size: 8,
    registers: registers(options),
    ...placeOf(options),
  };
}
