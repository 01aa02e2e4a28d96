/** Uncorrectable errors by the bit that each has in AER's registers (Base Specification 5.0, 7.8.4.2). */
export const uncorrectableErrorBits = {
  dataLinkProtocol: 4,
  surpriseDown: 5,
  poisonedTlp: 12,
  flowControlProtocol: 13,
  completionTimeout: 14,
  completerAbort: 15,
  unexpectedCompletion: 16,
  receiverOverflow: 17,
  malformedTlp: 18,
  ecrc: 19,
  unsupportedRequest: 20,
  accessControlViolation: 21,
  internal: 22,
  blockedMulticast: 23,
  atomicEgressBlocked: 24,
  prefixBlocked: 25,
  poisonedTlpEgressBlocked: 26,
} as const;

/** Correctable errors by the bit that each has in AER's registers (7.8.4.5). */
export const correctableErrorBits = {
  receiver: 0,
  badTlp: 6,
  badDllp: 7,
  replayRollover: 8,
  replayTimeout: 12,
  advisoryNonFatal: 13,
  internal: 14,
  headerLogOverflow: 15,
} as const;

/** An error that loses a transaction or the link. */
export type UncorrectableError = keyof typeof uncorrectableErrorBits;
/** An error that hardware has corrected. */
export type CorrectableError = keyof typeof correctableErrorBits;

export const UNCORRECTABLE_ERRORS = Object.keys(uncorrectableErrorBits) as readonly UncorrectableError[];
export const CORRECTABLE_ERRORS = Object.keys(correctableErrorBits) as readonly CorrectableError[];

/** Errors that are fatal unless software says otherwise (7.8.4.4). */
export const FATAL_BY_DEFAULT: readonly UncorrectableError[] = [
  'dataLinkProtocol',
  'surpriseDown',
  'flowControlProtocol',
  'receiverOverflow',
  'malformedTlp',
  'internal',
];

/** Errors that are masked unless software says otherwise (7.8.4.3, 7.8.4.6). */
export const UNCORRECTABLE_MASKED_BY_DEFAULT: readonly UncorrectableError[] = ['internal', 'poisonedTlpEgressBlocked'];
export const CORRECTABLE_MASKED_BY_DEFAULT: readonly CorrectableError[] = [
  'advisoryNonFatal',
  'internal',
  'headerLogOverflow',
];
