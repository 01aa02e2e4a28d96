import fc from 'fast-check';
import { expect, test } from 'vitest';

import { suggest } from '../../../src/mdev/base/suggestion.ts';

test.each([
  ['DSA0', ['dsa0', 'dsa1'], '; did you mean "dsa0"?'],
  ['dsa-1wq-v1', ['dsa-1dwq-v1', 'dsa-cfg-v1'], '; did you mean "dsa-1dwq-v1"?'],
  ['gpu', ['dsa0', 'dsa1'], '; known: dsa0, dsa1'],
  ['gpu', [], '; there is none'],
])('%s among %j', (name, known, expected) => {
  expect(suggest(name, known)).toBe(expected);
});

test('a name with one wrong, missing or additional character is found', () => {
  const names = fc.stringMatching(/^[a-z0-9-]{5,20}$/);
  fc.assert(
    fc.property(names, fc.nat(), fc.constantFrom('', '_', '__'), (name, at, replacement) => {
      const index = at % name.length;
      const misspelt = name.slice(0, index) + replacement + name.slice(index + 1);
      expect(suggest(misspelt, ['#'.repeat(40), name])).toBe(`; did you mean "${name}"?`);
    }),
  );
});

test('a hostile name costs nothing', () => {
  expect(suggest('x'.repeat(1_000_000), ['dsa0'])).toBe('; known: dsa0');
});
