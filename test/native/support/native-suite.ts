import { expect, it } from 'vitest';

import { build } from './native-build.ts';
import { run } from './native-test.ts';
import { testsOf } from './suites.ts';

/** A machine that is slow, busy, and has compiled nothing yet. */
const COMPILE_AND_RUN_MS = 600_000;

/** One test for each native test of this file's suite: compiled and run. A file for each sanitizer lets them overlap. */
export function nativeSuite(path: string): void {
  for (const test of testsOf(path)) {
    it(
      test.name,
      async () => {
        const { code, output } = await run(await build(test), test);
        expect(code, output).toBe(0);
      },
      COMPILE_AND_RUN_MS,
    );
  }
}
