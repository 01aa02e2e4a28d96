import { expect, it } from 'vitest';

import { build, nativeTests, run } from './native-test.ts';

const COMPILE_AND_RUN_MS = 180_000;

/**
 * One test for each test/native/*.test.cc with this sanitizer: compiled and run. A file of its own for each sanitizer lets them
 * overlap, and no two of them compile the same object.
 */
export function nativeSuite(sanitize: string | undefined): void {
  for (const test of nativeTests().filter((other) => other.sanitize === sanitize)) {
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
