import { randomUUID } from 'node:crypto';

import { MdevError } from '../errors/mdev-error.ts';

const PATTERN = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The canonical form of an instance's UUID: 36 characters, hyphenated, lower case. Any version and variant is taken, as
 * the kernel does.
 * @throws {@link MdevError} `EINVAL` for anything else.
 */
export function parseUuid(text: string): string {
  const uuid = text.length === 36 ? text.toLowerCase() : '';
  if (!PATTERN.test(uuid)) {
    throw new MdevError(
      'EINVAL',
      `"${text.slice(0, 64)}" is not a UUID; expected 36 characters such as 0123abcd-0123-4567-89ab-0123456789ab`,
    );
  }
  return uuid;
}

/** A random UUID in canonical form. */
export function generateUuid(): string {
  return randomUUID();
}
