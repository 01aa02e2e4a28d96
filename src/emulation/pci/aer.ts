import { DeclarationError } from '../declaration-error.ts';
import { type Field, ro, rw, w1c } from '../field.ts';
import { reg32 } from '../register.ts';
import {
  CORRECTABLE_ERRORS,
  CORRECTABLE_MASKED_BY_DEFAULT,
  correctableErrorBits,
  type CorrectableError,
  FATAL_BY_DEFAULT,
  UNCORRECTABLE_ERRORS,
  UNCORRECTABLE_MASKED_BY_DEFAULT,
  uncorrectableErrorBits,
  type UncorrectableError,
} from './aer-errors.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf } from './capability.ts';
import { ExtendedCapabilityId } from './capability-ids.ts';
import { sticky } from './sticky.ts';

/** Options of {@link advancedErrorReporting}. Bits of errors that the function does not have are read-only zeros. */
export interface AdvancedErrorReportingOptions extends CapabilityPlace {
  /** Uncorrectable errors that the function has; all when absent. */
  readonly uncorrectable?: readonly UncorrectableError[];
  /** Correctable errors that the function has; all when absent. */
  readonly correctable?: readonly CorrectableError[];
  /** Errors that are masked after a cold reset; what the specification says, as far as the function has it, when absent. */
  readonly uncorrectableMask?: readonly UncorrectableError[];
  /** Errors that are fatal after a cold reset; what the specification says, as far as the function has it, when absent. */
  readonly fatal?: readonly UncorrectableError[];
  /** Errors that are masked after a cold reset; what the specification says, as far as the function has it, when absent. */
  readonly correctableMask?: readonly CorrectableError[];
  /** Whether ECRC can be generated; false when absent. */
  readonly ecrcGeneration?: boolean;
  /** Whether ECRC can be checked; false when absent. */
  readonly ecrcCheck?: boolean;
}

/** Type of the registers of {@link advancedErrorReporting}. */
export type AdvancedErrorReportingRegisters = ReturnType<typeof registers>;

type ErrorFields<E extends string> = Readonly<Record<E, Field<'ro' | 'rw' | 'w1c', boolean, never>>>;

function errorFields<E extends string>(
  bits: Readonly<Record<E, number>>,
  present: readonly E[],
  declare: (bit: number) => Field<'rw' | 'w1c', boolean, never>,
): ErrorFields<E> {
  const fields = (Object.entries(bits) as [E, number][]).map(([error, bit]) => [
    error,
    sticky(present.includes(error) ? declare(bit) : ro(bit)),
  ]);
  return Object.fromEntries(fields) as ErrorFields<E>;
}

function maskOf<E extends string>(bits: Readonly<Record<E, number>>, errors: readonly E[]): number {
  return errors.reduce((mask, error) => mask | (1 << bits[error]), 0) >>> 0;
}

function registers(options: AdvancedErrorReportingOptions) {
  const { uncorrectable = UNCORRECTABLE_ERRORS, correctable = CORRECTABLE_ERRORS } = options;
  const has = <E extends string>(present: readonly E[], errors: readonly E[]): readonly E[] =>
    errors.filter((error) => present.includes(error));
  const {
    uncorrectableMask = has(uncorrectable, UNCORRECTABLE_MASKED_BY_DEFAULT),
    fatal = has(uncorrectable, FATAL_BY_DEFAULT),
    correctableMask = has(correctable, CORRECTABLE_MASKED_BY_DEFAULT),
    ecrcGeneration = false,
    ecrcCheck = false,
  } = options;
  check('uncorrectable', uncorrectable, UNCORRECTABLE_ERRORS);
  check('correctable', correctable, CORRECTABLE_ERRORS);
  check('uncorrectableMask', uncorrectableMask, uncorrectable);
  check('fatal', fatal, uncorrectable);
  check('correctableMask', correctableMask, correctable);
  const word = (offset: number) => reg32(offset, { data: sticky(ro(31, 0)) });
  return {
    UNCORRECTABLE_STATUS: reg32(0x04, errorFields(uncorrectableErrorBits, uncorrectable, w1c)),
    UNCORRECTABLE_MASK: reg32(0x08, errorFields(uncorrectableErrorBits, uncorrectable, rw), {
      reset: maskOf(uncorrectableErrorBits, uncorrectableMask),
    }),
    UNCORRECTABLE_SEVERITY: reg32(0x0c, errorFields(uncorrectableErrorBits, uncorrectable, rw), {
      reset: maskOf(uncorrectableErrorBits, fatal),
    }),
    CORRECTABLE_STATUS: reg32(0x10, errorFields(correctableErrorBits, correctable, w1c)),
    CORRECTABLE_MASK: reg32(0x14, errorFields(correctableErrorBits, correctable, rw), {
      reset: maskOf(correctableErrorBits, correctableMask),
    }),
    CONTROL: reg32(
      0x18,
      {
        /** Bit of the error that the header log is about; valid while that bit is set in UNCORRECTABLE_STATUS. */
        firstErrorPointer: sticky(ro(4, 0)),
        ecrcGenerationCapable: ro(5),
        ecrcGenerationEnable: sticky(ecrcGeneration ? rw(6) : ro(6)),
        ecrcCheckCapable: ro(7),
        ecrcCheckEnable: sticky(ecrcCheck ? rw(8) : ro(8)),
        multipleHeaderCapable: ro(9),
        multipleHeaderEnable: ro(10),
        tlpPrefixLogPresent: sticky(ro(11)),
      },
      { reset: (ecrcGeneration ? 1 << 5 : 0) | (ecrcCheck ? 1 << 7 : 0) },
    ),
    HEADER_LOG0: word(0x1c),
    HEADER_LOG1: word(0x20),
    HEADER_LOG2: word(0x24),
    HEADER_LOG3: word(0x28),
    TLP_PREFIX_LOG0: word(0x38),
    TLP_PREFIX_LOG1: word(0x3c),
    TLP_PREFIX_LOG2: word(0x40),
    TLP_PREFIX_LOG3: word(0x44),
  } as const;
}

/**
 * Advanced Error Reporting (Base Specification 5.0, 7.8.4), version 2: 72 bytes, named `AER`, for a function below the
 * root, with a log of one header. `PciFunction.recordError` fills it.
 *
 * @throws {@link DeclarationError} for an error that there is not, or that is masked or fatal though the function does not have it
 */
export function advancedErrorReporting(
  options: AdvancedErrorReportingOptions = {},
): ExtendedCapability<'AER', AdvancedErrorReportingRegisters> {
  return {
    name: 'AER',
    id: ExtendedCapabilityId.advancedErrorReporting,
    version: 2,
    size: 0x48,
    registers: registers(options),
    ...placeOf(options),
  };
}

function check(name: string, errors: readonly string[], known: readonly string[]): void {
  for (const error of errors)
    if (!known.includes(error))
      throw new DeclarationError(`advancedErrorReporting: ${name} has ${error}, expected some of ${known.join(', ')}`);
}
