import { expect, it } from 'vitest';

import { nativeSuite } from './support/native-suite.ts';
import { testsOfNoSuite } from './support/suites.ts';

nativeSuite(import.meta.filename);

it('every native test belongs to one of the suites', () => {
  expect(testsOfNoSuite()).toEqual([]);
});
