import { expect, it } from 'vitest';

import { crc32c } from './crc.ts';

const ascii = (text: string): readonly number[] => [...new TextEncoder().encode(text)];
const standard = { raw: false, straightData: false };

// Published with iSCSI (RFC 3720) and CRC-32C catalogues.
it.each([
  ['123456789', ascii('123456789'), 0xe3069283],
  ['32 zeros', Array.from({ length: 32 }, () => 0), 0x8a9136aa],
  ['32 ones', Array.from({ length: 32 }, () => 0xff), 0x62a8ab43],
  ['counting up', Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
])('the reference gives the published checksum of %s', (_, data, checksum) => {
  expect(crc32c(0, data, standard)).toBe(checksum);
});
