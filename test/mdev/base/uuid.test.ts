import fc from 'fast-check';
import { expect, test } from 'vitest';

import { MdevError } from '../../../src/mdev/errors/mdev-error.ts';
import { generateUuid, parseUuid } from '../../../src/mdev/base/uuid.ts';

test('takes any hyphenated UUID and gives lower case', () => {
  fc.assert(
    fc.property(fc.uuid(), (uuid) => {
      expect(parseUuid(uuid.toUpperCase())).toBe(uuid.toLowerCase());
    }),
  );
});

test('a random UUID is canonical, and another one each time', () => {
  const uuids = Array.from({ length: 100 }, generateUuid);
  for (const uuid of uuids) expect(parseUuid(uuid)).toBe(uuid);
  expect(new Set(uuids).size).toBe(100);
});

test.each([
  '',
  'dsa0',
  '0123abcd-0123-4567-89ab-0123456789ab\n',
  ' 0123abcd-0123-4567-89ab-0123456789ab',
  '0123abcd01234567-89ab-0123456789ab0000',
  '{0123abcd-0123-4567-89ab-0123456789a}',
  '0123abcg-0123-4567-89ab-0123456789ab',
  '../../../../../../../../etc/passwd__',
  'x'.repeat(100_000),
])('refuses %j with EINVAL', (text) => {
  expect(() => parseUuid(text)).toThrow(expect.objectContaining({ name: 'MdevError', code: 'EINVAL' }));
});

test('what is no UUID by one character is refused', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.nat(35), fc.string({ minLength: 1, maxLength: 1 }), (uuid, at, character) => {
      const text = uuid.slice(0, at) + character + uuid.slice(at + 1);
      const isHex = /[0-9a-f]/i.test(character);
      const isHyphen = [8, 13, 18, 23].includes(at);
      if (isHyphen ? character === '-' : isHex) expect(parseUuid(text)).toBe(text.toLowerCase());
      else expect(() => parseUuid(text)).toThrow(MdevError);
    }),
  );
});
