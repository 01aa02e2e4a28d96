import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

import { expect, it } from 'vitest';

/** The newest symbol versions that the oldest supported systems have: those that Node.js 20 itself needs. */
const FLOORS = { GLIBC: [2, 28], GLIBCXX: [3, 4, 22], CXXABI: [1, 3, 11] } as const;

/** Whether version `a` is newer than version `b`. */
function isNewer(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** What objdump -T lists as undefined, with the library version each symbol asks for. */
function versionedImports(table: string): { symbol: string; library: string; version: number[] }[] {
  return [...table.matchAll(/\*UND\*\s+\S+\s+\(?(GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)?\s+(\S+)/g)].map(
    ([, library = '', version = '', symbol = '']) => ({ symbol, library, version: version.split('.').map(Number) }),
  );
}

/** The symbols that need a newer library than the floors. */
function tooNew(table: string): string[] {
  return versionedImports(table)
    .filter(({ library, version }) => isNewer(version, FLOORS[library as keyof typeof FLOORS]))
    .map(({ symbol, library, version }) => `${symbol} needs ${library}_${version.join('.')}`);
}

it('the addon asks for no newer libraries than the oldest supported system has', () => {
  const addon = resolve(import.meta.dirname, '../../crates-free/native/build/Release/mdev.node');
  const table = execFileSync('objdump', ['-T', addon], { encoding: 'utf8' });
  expect(versionedImports(table).length).toBeGreaterThan(0);
  expect(tooNew(table)).toEqual([]);
});

it('a symbol of a newer library is noticed', () => {
  const line = (symbol: string, version: string): string =>
    `0000000000000000      DF *UND*\t0000000000000000 (${version}) ${symbol}\n`;
  const table = line('memcpy', 'GLIBC_2.14') + line('lstat', 'GLIBC_2.33') + line('what', 'GLIBCXX_3.4.29');
  expect(tooNew(table)).toEqual(['lstat needs GLIBC_2.33', 'what needs GLIBCXX_3.4.29']);
});
