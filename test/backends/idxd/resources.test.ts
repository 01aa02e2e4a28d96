import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ResourceBooks } from '../../../src/backends/idxd/resources.ts';

const total = { queues: 8, entries: 128, groups: 4, engines: 4 };

test('exclusive resources are what was asked for, and come back once', () => {
  const books = new ResourceBooks('dsa0', total, 4);
  const need = { queues: 3, entries: 40, groups: 1, engines: 2 };
  const first = books.takeExclusive(need);
  const second = books.takeExclusive(need);
  expect([first.engines, second.engines]).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(books.free).toEqual({ queues: 2, entries: 48, groups: 2, engines: 0 });
  expect(() => books.takeExclusive(need)).toThrow(
    expect.objectContaining({ code: 'EUSERS', message: 'dsa0 has 2 free queues; 3 are needed' }),
  );
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(books.free).toEqual({ queues: 5, entries: 88, groups: 3, engines: 2 });
  second[Symbol.dispose]();
  expect(books.free).toEqual(total);
});

test('instances that share spread over the free engines first, then join where the fewest are', () => {
  const books = new ResourceBooks('dsa0', total, 2);
  const taken = Array.from({ length: 5 }, () => books.takeShared(16));
  expect(taken.map(({ slot }) => slot.engine)).toEqual([0, 1, 0, 1, 0]);
  expect(books.free).toEqual({ queues: 3, entries: 48, groups: 2, engines: 2 });
  taken[0]?.[Symbol.dispose]();
  taken[2]?.[Symbol.dispose]();
  taken[4]?.[Symbol.dispose]();
  expect(books.free).toEqual({ queues: 6, entries: 96, groups: 3, engines: 3 });
});

test('no sharing where the parent does not allow it, or all engines are owned', () => {
  const never = new ResourceBooks('dsa0', total, 0);
  expect(never.availableShared(16)).toBe(0);
  expect(() => never.takeShared(16)).toThrow(expect.objectContaining({ code: 'EUSERS' }));
  const owned = new ResourceBooks('dsa0', total, 4);
  owned.takeExclusive({ queues: 1, entries: 1, groups: 1, engines: 4 });
  expect(owned.availableShared(16)).toBe(0);
  expect(() => owned.takeShared(16)).toThrow(/no engine and group left/);
});

const counts = fc.record({
  queues: fc.integer({ min: 1, max: 8 }),
  entries: fc.integer({ min: 1, max: 128 }),
  groups: fc.integer({ min: 1, max: 4 }),
  engines: fc.integer({ min: 1, max: 4 }),
});
const step = fc.oneof(
  fc.record({ kind: fc.constant('exclusive' as const), need: counts }),
  fc.record({ kind: fc.constant('shared' as const), entries: fc.integer({ min: 1, max: 64 }) }),
  fc.record({ kind: fc.constant('give' as const), which: fc.nat(20) }),
);

test('what is available is exactly what can be taken, whatever was taken before; nothing is taken twice or lost', () => {
  fc.assert(
    fc.property(
      counts,
      fc.integer({ min: 0, max: 4 }),
      fc.array(step, { maxLength: 25 }),
      counts,
      fc.integer({ min: 1, max: 64 }),
      (all, sharedEngines, steps, need, entries) => {
        const books = new ResourceBooks('dsa0', all, Math.min(sharedEngines, all.engines));
        const held: Disposable[] = [];
        const tryTake = (take: () => Disposable): boolean => {
          try {
            held.push(take());
            return true;
          } catch (error) {
            expect(error).toMatchObject({ code: 'EUSERS' });
            return false;
          }
        };
        for (const next of steps) {
          if (next.kind === 'give') held.splice(next.which % (held.length + 1), 1)[0]?.[Symbol.dispose]();
          else if (next.kind === 'exclusive') {
            const available = books.availableExclusive(next.need) > 0;
            expect(tryTake(() => books.takeExclusive(next.need))).toBe(available);
          } else {
            const available = books.availableShared(next.entries) > 0;
            expect(tryTake(() => books.takeShared(next.entries))).toBe(available);
          }
        }
        const mark = held.length;
        for (let left = books.availableExclusive(need); left >= 0; left--) {
          expect(books.availableExclusive(need)).toBe(left);
          expect(tryTake(() => books.takeExclusive(need))).toBe(left > 0);
        }
        for (const taken of held.splice(mark)) taken[Symbol.dispose]();
        for (let left = books.availableShared(entries); left >= 0; left--) {
          expect(books.availableShared(entries)).toBe(left);
          expect(tryTake(() => books.takeShared(entries))).toBe(left > 0);
        }
        for (const taken of held) taken[Symbol.dispose]();
        expect(books.free).toEqual(all);
      },
    ),
    { numRuns: 500 },
  );
});
