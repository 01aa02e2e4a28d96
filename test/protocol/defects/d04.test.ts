import { expect, it } from 'vitest';

import { DirtyClient, PAGE, setBits } from '../support/dirty-client.ts';

it('D4: a report in smaller pages than were asked for ends, and is right, beyond 256 pages', async () => {
  await using client = await DirtyClient.of(512n);
  expect(await client.start(2n * PAGE)).toBe(0);
  client.write(300, 511);
  const report = await client.report(PAGE);
  expect(report & setBits(300, 511)).toBe(setBits(300, 511));
  // At most their neighbours: the granularity is the server's choice.
  expect(report & ~setBits(300, 301, 510, 511)).toBe(0n);
});
