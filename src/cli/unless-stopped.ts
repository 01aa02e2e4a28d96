import { once } from 'node:events';

import { catchStopSignals } from './stop-signals.ts';

/** SIGTERM and SIGINT of {@link catchStopSignals}, for what takes a signal to end by. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  void catchStopSignals().then((name) => {
    stopping.abort(new Error(`stopped by ${name}`));
  });
  return stopping.signal;
}

/** Resolves when the signal has come. */
export async function untilStopped(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/**
 * Waits for work that cannot be ended, or for the signal. What becomes of the work then is nobody's concern: whoever calls closes what it works on.
 * @throws the signal's reason, or what the work throws.
 */
export async function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const stopped = untilStopped(signal).then((): never => {
    throw signal.reason;
  });
  return await Promise.race([work, stopped]);
}
