import { expect, it } from 'vitest';

import { acmeDevice } from '../../mdev/support/acme.ts';
import { ConfigClient } from '../support/config-client.ts';

it('D14: a write of 1 byte to COMMAND is done as a whole: what can be written is, and nothing is refused', async () => {
  await using client = await ConfigClient.of(await acmeDevice());
  expect(await client.write(0x04, 1, 0xffn)).toBe(0);
  const set = await client.read(0x04, 2);
  // Memory space and bus master are; VGA palette snoop and what is reserved are not.
  expect(set & 0x06n).toBe(0x06n);
  expect(set & 0xa0n).toBe(0n);
  expect(set >> 8n).toBe(0n);
  expect(await client.write(0x04, 1, 0n)).toBe(0);
  expect(await client.read(0x04, 2)).toBe(0n);
});
