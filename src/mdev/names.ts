import { MdevError } from './mdev-error.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$/;

/**
 * A name that can be a directory in sysfs: 1 to 64 letters, digits, `_`, `.`, `:` and `-`, not starting with a mark.
 * @param what What is named (`parent`, `type`, `driver`), for the message.
 * @throws {@link MdevError} `EINVAL`.
 */
export function parseName(what: string, name: string): string {
  if (!NAME.test(name)) {
    throw new MdevError(
      'EINVAL',
      `${what} name "${name.slice(0, 64)}": expected 1 to 64 of letters, digits, "_", ".", ":" and "-", a letter, digit or "_" first`,
    );
  }
  return name;
}
