import { MdevError } from './mdev-error.ts';

/** The longest that a timer of Node.js waits, milliseconds; what is more ends at once. */
export const MAX_TIMER_MS = 0x7fff_ffff;

/**
 * @param name of the option, for the message.
 * @throws `MdevError` `EINVAL` for what is no number of milliseconds from 1 to 2^31 - 1. Undefined is the option's default, and fits.
 */
export function checkTimeLimit(name: string, milliseconds: number | undefined): void {
  if (milliseconds === undefined || (milliseconds >= 1 && milliseconds <= MAX_TIMER_MS)) return;
  throw new MdevError('EINVAL', `${name} is ${milliseconds}; expected 1 to ${MAX_TIMER_MS} milliseconds`);
}
