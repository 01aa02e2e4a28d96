import { DeclarationError } from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$/;

function problemOf(what: string, name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  return `${what} name "${name.slice(0, 64)}": expected 1 to 64 of letters, digits, "_", ".", ":" and "-", a letter, digit or "_" first`;
}

/**
 * A name that can be a directory in sysfs, as an operator gives it: 1 to 64 letters, digits, `_`, `.`, `:` and `-`, not
 * starting with a mark.
 * @param what What is named (`parent`), for the message.
 * @throws {@link MdevError} `EINVAL`.
 */
export function parseName(what: string, name: string): string {
  const problem = problemOf(what, name);
  if (problem !== undefined) throw new MdevError('EINVAL', problem);
  return name;
}

/**
 * The same for a name that a vendor declares (`type`, `driver`).
 * @throws `DeclarationError`.
 */
export function declaredName(what: string, name: string): string {
  const problem = problemOf(what, name);
  if (problem !== undefined) throw new DeclarationError(problem);
  return name;
}
