import { expect, it } from 'vitest';

import { LineBudget } from '../../src/cli/line-budget.ts';

it('tells 100 lines in 10 s, counts the others, and begins anew', () => {
  const told: string[] = [];
  let now = 5_000;
  const log = new LineBudget(
    (line) => told.push(line),
    () => now,
  );
  for (let line = 0; line < 130; line++) log.line(`a${line}`);
  expect(told).toHaveLength(100);
  expect(told.at(-1)).toBe('a99');
  now += 9_999;
  log.line('too early');
  expect(told).toHaveLength(100);
  now += 1;
  log.line('b');
  expect(told.slice(100)).toEqual(['31 lines about clients were left out', 'b']);
  now += 10_000;
  log.line('c');
  expect(told.slice(102)).toEqual(['c']);
});
