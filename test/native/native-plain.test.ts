import { expect, it } from 'vitest';

import { nativeSuite } from './support/native-suite.ts';
import { nativeTests } from './support/native-test.ts';

nativeSuite(undefined);

it('every native test belongs to one of the suites', () => {
  const known = new Set([undefined, 'thread', 'address,undefined']);
  expect(nativeTests().filter((test) => !known.has(test.sanitize))).toEqual([]);
});
