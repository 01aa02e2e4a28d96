import { expect, it } from 'vitest';

import { messageOf } from '../../../src/mdev/base/message-of.ts';

it.each([
  [new RangeError('out of reach'), 'out of reach'],
  ['words', 'words'],
  [undefined, 'undefined'],
  [7n, '7'],
  [Symbol('sign'), 'Symbol(sign)'],
])('%o says %s', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message);
});

it.each([
  ['has no prototype', Object.create(null) as unknown],
  [
    'throws in its turn',
    {
      toString(): string {
        throw new Error('again');
      },
    },
  ],
])('what %s gets a text, too', (_what, thrown) => {
  expect(messageOf(thrown)).toContain('without a text');
});
