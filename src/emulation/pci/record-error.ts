import type { RegisterFile, RegisterView } from '../infer.ts';
import type { RegisterBlock } from '../block.ts';
import type { AdvancedErrorReportingRegisters } from './aer.ts';
import {
  CORRECTABLE_ERRORS,
  type CorrectableError,
  FATAL_BY_DEFAULT,
  UNCORRECTABLE_ERRORS,
  type UncorrectableError,
  uncorrectableErrorBits,
} from './aer-errors.ts';
import type { HeaderRegisters } from './header.ts';
import type { PciExpressRegisters } from './pci-express-registers.ts';

/** An error that a function has seen. */
export type PciError =
  | { readonly correctable: Exclude<CorrectableError, 'advisoryNonFatal' | 'headerLogOverflow'> }
  | {
      readonly uncorrectable: UncorrectableError;
      /** The first 16 bytes of the transaction's header, as the specification prints them; none when absent. */
      readonly header?: readonly [number, number, number, number];
      /** Whether the function need not signal it if it is not fatal, because another one will (6.2.3.2.4). */
      readonly advisory?: boolean;
    };

/** The error message that a function would send to its root port. */
export type ErrorMessage = 'correctable' | 'nonFatal' | 'fatal';

/** Registers in which a function records errors. */
export interface ErrorRegisters {
  readonly command: RegisterView<HeaderRegisters['COMMAND']>;
  readonly status: RegisterView<HeaderRegisters['STATUS']>;
  readonly pciExpress: RegisterFile<RegisterBlock<PciExpressRegisters>> | undefined;
  readonly aer: RegisterFile<RegisterBlock<AdvancedErrorReportingRegisters>> | undefined;
}

/** What only follows from other errors. */
const CONSEQUENCES: readonly string[] = ['advisoryNonFatal', 'headerLogOverflow'] satisfies CorrectableError[];

/**
 * Checks what the compiler has not seen: a call from JavaScript, or a name that came from elsewhere.
 * @throws RangeError for a name that no error of this kind has
 */
export function checkErrorName(error: PciError): void {
  const [kind, name, names]: readonly [string, string, readonly string[]] =
    'correctable' in error
      ? ['correctable', error.correctable, CORRECTABLE_ERRORS.filter((known) => !CONSEQUENCES.includes(known))]
      : ['uncorrectable', error.uncorrectable, UNCORRECTABLE_ERRORS];
  if (!names.includes(name))
    throw new RangeError(`recordError: ${kind} error ${name}; expected one of ${names.join(', ')}`);
}

/**
 * Records an error as Base Specification 5.0, 6.2.5 (figure 6-2) says: status bits always, header log and message only
 * where no mask forbids them.
 *
 * @returns the message that leaves the function; undefined if it is masked or not enabled
 */
export function recordError(registers: ErrorRegisters, error: PciError): ErrorMessage | undefined {
  if ('correctable' in error) return recordCorrectable(registers, error.correctable);
  const { uncorrectable, header, advisory = false } = error;
  const { status, aer } = registers;
  if (uncorrectable === 'poisonedTlp') status.detectedParityError = true;
  if (uncorrectable === 'completerAbort') status.signaledTargetAbort = true;
  const fatal = aer?.UNCORRECTABLE_SEVERITY[uncorrectable] ?? FATAL_BY_DEFAULT.includes(uncorrectable);
  return advisory && !fatal
    ? recordAdvisory(registers, uncorrectable, header)
    : recordUncorrectable(registers, uncorrectable, fatal, header);
}

type Header = readonly [number, number, number, number] | undefined;

function recordCorrectable({ pciExpress, aer }: ErrorRegisters, error: CorrectableError): ErrorMessage | undefined {
  if (pciExpress !== undefined) pciExpress.DEVSTS.correctableError = true;
  if (aer !== undefined) aer.CORRECTABLE_STATUS[error] = true;
  if (aer?.CORRECTABLE_MASK[error] === true) return undefined;
  return pciExpress?.DEVCTL.correctableErrorReporting === true ? 'correctable' : undefined;
}

function recordAdvisory(
  registers: ErrorRegisters,
  error: UncorrectableError,
  header: Header,
): ErrorMessage | undefined {
  const { pciExpress, aer } = registers;
  if (error === 'unsupportedRequest' && pciExpress !== undefined) pciExpress.DEVSTS.unsupportedRequest = true;
  const message = recordCorrectable(registers, 'advisoryNonFatal');
  if (aer !== undefined && !aer.CORRECTABLE_MASK.advisoryNonFatal) {
    if (!aer.UNCORRECTABLE_MASK[error]) log(registers, error, header);
    aer.UNCORRECTABLE_STATUS[error] = true;
  }
  const silent = error === 'unsupportedRequest' && pciExpress?.DEVCTL.unsupportedRequestReporting !== true;
  return silent ? undefined : message;
}

function recordUncorrectable(
  registers: ErrorRegisters,
  error: UncorrectableError,
  fatal: boolean,
  header: Header,
): ErrorMessage | undefined {
  const { command, status, pciExpress, aer } = registers;
  if (pciExpress !== undefined) {
    pciExpress.DEVSTS[fatal ? 'fatalError' : 'nonFatalError'] = true;
    if (error === 'unsupportedRequest') pciExpress.DEVSTS.unsupportedRequest = true;
  }
  const masked = aer?.UNCORRECTABLE_MASK[error] === true;
  if (aer !== undefined) {
    if (!masked) log(registers, error, header);
    aer.UNCORRECTABLE_STATUS[error] = true;
  }
  const control = pciExpress?.DEVCTL;
  const reported = fatal ? control?.fatalErrorReporting : control?.nonFatalErrorReporting;
  const requestsReported = error !== 'unsupportedRequest' || control?.unsupportedRequestReporting === true;
  const enabled = command.systemErrorEnable || (reported === true && requestsReported);
  if (masked || !enabled) return undefined;
  if (command.systemErrorEnable) status.signaledSystemError = true;
  return fatal ? 'fatal' : 'nonFatal';
}

/** Logs the first error; the log is free again when the guest has cleared that error's status. */
function log(registers: ErrorRegisters, error: UncorrectableError, header: Header): void {
  const { aer } = registers;
  if (aer === undefined) return;
  const { UNCORRECTABLE_STATUS, CONTROL } = aer;
  if (((UNCORRECTABLE_STATUS.value >>> CONTROL.firstErrorPointer) & 1) !== 0) {
    if (header !== undefined) recordCorrectable(registers, 'headerLogOverflow');
    return;
  }
  CONTROL.firstErrorPointer = uncorrectableErrorBits[error];
  const [first, second, third, fourth] = header ?? [0, 0, 0, 0];
  aer.HEADER_LOG0.data = first;
  aer.HEADER_LOG1.data = second;
  aer.HEADER_LOG2.data = third;
  aer.HEADER_LOG3.data = fourth;
}
