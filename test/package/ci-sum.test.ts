import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-sum-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Writes the reports and returns the last line and the exit code of the sum. */
function sum(
  runners: string,
  reports: Record<string, string> = {},
): { last: string | undefined; status: number | null } {
  writeFileSync(join(folder, 'runners'), runners);
  for (const [name, text] of Object.entries(reports)) writeFileSync(join(folder, name), text);
  const script = resolve(import.meta.dirname, '../../.ci/sum.mjs');
  const { stdout, status } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
  return { last: stdout.trimEnd().split('\n').at(-1), status };
}

const vitest = (passed: number, failed: number, skipped = 0): string =>
  JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped });

describe('the sum of all runners', () => {
  it('adds the counts of every kind', () => {
    const reports = { 'test.json': vitest(40, 0), 'soak.log': 'talk\n2 passed, 0 failed\n' };
    expect(sum('command\tlint\t0\nvitest\ttest\t0\ncounting\tsoak\t0\n', reports)).toEqual({
      last: '43 passed, 0 failed',
      status: 0,
    });
  });

  it.each([
    ['a failed command', 'command\tlint\t1\n', {}, '0 passed, 1 failed'],
    ['failed tests', 'vitest\ttest\t1\n', { 'test.json': vitest(3, 2) }, '3 passed, 2 failed'],
    [
      'a runner that fails outside of its tests',
      'vitest\ttest\t1\n',
      { 'test.json': vitest(3, 0) },
      '3 passed, 1 failed',
    ],
    ['a runner without tests', 'vitest\ttest\t0\n', { 'test.json': vitest(0, 0) }, '0 passed, 1 failed'],
    ['a skipped test', 'vitest\ttest\t0\n', { 'test.json': vitest(3, 0, 1) }, '3 passed, 1 failed'],
    ['a missing report', 'vitest\ttest\t0\n', {}, '0 passed, 1 failed'],
    ['a script without a last line', 'counting\tsoak\t0\n', { 'soak.log': 'done\n' }, '0 passed, 1 failed'],
    ['no runner at all', '', {}, '0 passed, 1 failed'],
  ])('fails for %s', (_what, runners, reports, last) => {
    expect(sum(runners, reports as Record<string, string>)).toEqual({ last, status: 1 });
  });
});
