import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { execute, type Outcome } from './execute.ts';

const root = resolve(import.meta.dirname, '../../..');

/** The sources of the addon. */
export const sourceDir = join(root, 'crates-free/native/src');
/** The native tests and what they include. */
export const testDir = join(root, 'test/native');

/** A C++ test, as the comments at its top describe it. */
export interface NativeTest {
  /** File name below test/native. */
  readonly name: string;
  /** The files to compile with it: `// sources: dir/*.cc dir/file.cc`, below crates-free/native/src. */
  readonly sources: readonly string[];
  /** Value of -fsanitize: `// sanitize: address,undefined`. */
  readonly sanitize: string | undefined;
}

/** All tests `*.test.cc` of test/native. Throws when a comment names a source that does not exist. */
export function nativeTests(): NativeTest[] {
  return readdirSync(testDir)
    .filter((name) => name.endsWith('.test.cc'))
    .sort()
    .map((name) => {
      const text = readFileSync(join(testDir, name), 'utf8');
      const patterns = comment(text, 'sources')?.split(/\s+/) ?? [];
      return { name, sources: patterns.flatMap(expand), sanitize: comment(text, 'sanitize') };
    });
}

/** Runs a test's program. ThreadSanitizer wants memory layouts that address randomisation spoils on some kernels. */
export async function run(program: string, { sanitize }: NativeTest): Promise<Outcome> {
  const fixed = sanitize === 'thread' && canFixAddresses();
  return await execute(fixed ? ['setarch', '-R', program] : [program]);
}

let fixable: boolean | undefined;

function canFixAddresses(): boolean {
  fixable ??= spawnSync('setarch', ['-R', 'true'], { stdio: 'ignore' }).status === 0;
  return fixable;
}

/** What a comment says. Throws when it says it within a line, as a formatter may have left it: nobody would see it there. */
function comment(text: string, key: string): string | undefined {
  const [head = ''] = text.split('#include', 1);
  const found = new RegExp(`^// ${key}: *(.+?) *$`, 'm').exec(head)?.[1];
  if (found === undefined && head.includes(`${key}:`))
    throw new Error(`"${key}:" is not at the start of its line:\n${head}`);
  return found;
}

/** A file below the sources, or all `*.cc` of a directory in which JavaScript is not met. Without abi_floor.cc, which is for the addon alone. */
function expand(pattern: string): string[] {
  const path = join(sourceDir, pattern);
  if (basename(path) !== '*.cc') {
    if (!existsSync(path)) throw new Error(`a native test wants ${pattern}, which does not exist`);
    return [path];
  }
  const found = readdirSync(dirname(path)).filter(
    (name) => name.endsWith('.cc') && !name.endsWith('_object.cc') && name !== 'abi_floor.cc',
  );
  if (found.length === 0) throw new Error(`a native test wants ${pattern}, which matches nothing`);
  return found.sort().map((name) => join(dirname(path), name));
}
