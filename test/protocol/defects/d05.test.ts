import { expect, it } from 'vitest';

import { DirtyClient, PAGE, setBits } from '../support/dirty-client.ts';

it('D5: a report in larger pages is right beyond 256 pages', async () => {
  await using client = await DirtyClient.of(1024n);
  expect(await client.start(PAGE)).toBe(0);
  client.write(600);
  expect(await client.report(2n * PAGE)).toBe(setBits(300));
});
