/** Counters of one work queue since its {@link QueueDevice} was made, and its state now. */
export interface QueueStatistics {
  /** Descriptors that the queue accepted. */
  readonly submitted: number;
  /** Those that ended with record and interrupt, as far as they wanted them. */
  readonly completed: number;
  /** Those that a reset or an abort ended without. */
  readonly abandoned: number;
  /** Portal writes, or parts of them, that came while the queue took none, and halves of descriptors that others overtook. */
  readonly dropped: number;
  /** Descriptors refused because the queue was full. */
  readonly full: number;
  /** Descriptors that were answered with Retry, counted in this process: what moves a device does not take it along. */
  readonly retried: number;
  /** Descriptors that wait for an engine now. */
  readonly waiting: number;
  /** Descriptors begun and not ended: on engines now, or left by one that was closed. */
  readonly inFlight: number;
}

/** Counters of the event log since its {@link QueueDevice} was made. */
export interface EventLogStatistics {
  /** Errors in the log. */
  readonly written: number;
  /** Errors that the log did not take: it was full, its memory was not to be written, or too many were on their way. */
  readonly lost: number;
}

/** @param values as the addon orders them. */
export function queueStatistics(values: Float64Array): QueueStatistics {
  const at = (index: number): number => values[index] ?? 0;
  return {
    submitted: at(0),
    completed: at(1),
    abandoned: at(2),
    dropped: at(3),
    full: at(4),
    waiting: at(5),
    inFlight: at(6),
    retried: at(7),
  };
}
