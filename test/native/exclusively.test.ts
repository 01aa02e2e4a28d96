import { setImmediate as turn } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { exclusively } from './support/exclusively.ts';

it('lets one work at a time for a name, whatever becomes of it', async () => {
  const name = `${import.meta.filename} ${process.pid}`;
  let inside = 0;
  let most = 0;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, async (_, index) => {
      await exclusively(name, async () => {
        inside += 1;
        most = Math.max(most, inside);
        for (let i = 0; i < index % 7; ++i) await turn();
        inside -= 1;
        if (index % 5 === 0) throw new Error('failed');
      });
    }),
  );
  expect(most).toBe(1);
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(10);
});

it('does not make other names wait', async () => {
  const name = `${import.meta.filename} ${process.pid}`;
  expect(await exclusively(`${name} one`, () => exclusively(`${name} other`, () => Promise.resolve(1)))).toBe(1);
});
