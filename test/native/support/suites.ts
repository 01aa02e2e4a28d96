import { basename } from 'node:path';

import { build } from './native-build.ts';
import { type NativeTest, nativeTests } from './native-test.ts';

/** The files of test/native that run native tests, and the sanitizer whose tests each of them runs. */
const suites: ReadonlyMap<string, string | undefined> = new Map([
  ['native-address.test.ts', 'address,undefined'],
  ['native-thread.test.ts', 'thread'],
  ['native-plain.test.ts', undefined],
]);

/** The native tests of a suite, by the path of its file. None when it is no such file. */
export function testsOf(path: string): readonly NativeTest[] {
  const name = basename(path);
  return suites.has(name) ? nativeTests().filter(({ sanitize }) => sanitize === suites.get(name)) : [];
}

/** Native tests that no suite runs. */
export function testsOfNoSuite(): readonly NativeTest[] {
  return nativeTests().filter(({ sanitize }) => ![...suites.values()].includes(sanitize));
}

/** Compiles the native tests of these files, for whoever wants one later. What cannot be compiled is that one's business. */
export async function buildAhead(paths: readonly string[]): Promise<void> {
  await Promise.allSettled(paths.flatMap(testsOf).map(build));
}
