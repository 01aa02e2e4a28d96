import { basename } from 'node:path';

import { build } from './native-build.ts';
import { type NativeTest, nativeTests } from './native-test.ts';

/** The one sanitized test of npm test: no cause bit is lost between engines and guest. */
const CAUSES = 'cause_bits.test.cc';

/**
 * The files of test/native that run native tests, and which of them each runs. Those of address and thread take half as long as
 * all of npm test, and are a run of their own (npm run test:native).
 */
const suites: ReadonlyMap<string, (test: NativeTest) => boolean> = new Map([
  ['native-plain.test.ts', ({ sanitize }) => sanitize === undefined],
  ['native-causes.test.ts', ({ name }) => name === CAUSES],
  ['native-address.test.ts', ({ sanitize }) => sanitize === 'address,undefined'],
  ['native-thread.test.ts', ({ name, sanitize }) => sanitize === 'thread' && name !== CAUSES],
]);

/** The native tests of a suite, by the path of its file. None when it is no such file. */
export function testsOf(path: string): readonly NativeTest[] {
  const isOfSuite = suites.get(basename(path));
  return isOfSuite === undefined ? [] : nativeTests().filter(isOfSuite);
}

/** Native tests that are not of exactly one suite. */
export function testsOfNoSuite(): readonly NativeTest[] {
  return nativeTests().filter((test) => [...suites.values()].filter((isOfSuite) => isOfSuite(test)).length !== 1);
}

/** Compiles the native tests of these files, for whoever wants one later. What cannot be compiled is that one's business. */
export async function buildAhead(paths: readonly string[]): Promise<void> {
  await Promise.allSettled(paths.flatMap(testsOf).map(build));
}
