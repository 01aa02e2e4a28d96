import { InvalidArgumentError } from 'commander';

/** Largest number of a file descriptor. */
const MAX_FD = 2 ** 31 - 1;

/**
 * The number of an inherited socket: 0 (a supervisor's `accept`), or 3 and more.
 *
 * @throws InvalidArgumentError for anything else
 */
export function parseFd(text: string): number {
  const fd = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  if (!(fd <= MAX_FD)) throw new InvalidArgumentError('Expected the number of an open socket, such as 3');
  if (fd === 1 || fd === 2) throw new InvalidArgumentError('1 and 2 are for output; expected 0, or 3 and more');
  return fd;
}
