import { expect, it } from 'vitest';

import { crc32c } from '../../../src/cli/demo/crc32c.ts';

// The vectors of RFC 3720, B.4, and the check value of the CRC catalogue.
it.each([
  ['the digits', Buffer.from('123456789'), 0xe3069283],
  ['nothing', new Uint8Array(0), 0],
  ['zeros', new Uint8Array(32), 0x8a9136aa],
  ['ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['ascending bytes', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
])('is right for %s', (_what, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});
