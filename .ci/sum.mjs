// sum.mjs FOLDER
// Adds up what the runners of .ci/lib.sh reported in FOLDER. The last line is "N passed, N failed"; exit code 1 when a
// runner failed or ran no test.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: sum.mjs FOLDER\n');
  process.exit(2);
}

/** The counts of one runner, by the kind of its report. */
const counters = {
  command: (_name, status) => (status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }),
  vitest(name) {
    const report = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
    // The machine has everything that a test may want: what was skipped here would be skipped for ever.
    const { numPassedTests, numFailedTests, numPendingTests = 0, numTodoTests = 0 } = report;
    return { passed: numPassedTests, failed: numFailedTests + numPendingTests + numTodoTests };
  },
  counting(name) {
    const lines = readFileSync(join(folder, `${name}.log`), 'utf8')
      .trimEnd()
      .split('\n');
    const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(lines.at(-1) ?? '') ?? [];
    if (passed === undefined) throw new Error('its last line is not "N passed, N failed"');
    return { passed: Number(passed), failed: Number(failed) };
  },
};

let passed = 0;
let failed = 0;
const runners = readFileSync(join(folder, 'runners'), 'utf8').split('\n').filter(Boolean);
for (const runner of runners) {
  const [kind, name, code] = runner.split('\t');
  const status = Number(code);
  let counts;
  let remark = '';
  try {
    counts = counters[kind](name, status);
  } catch (error) {
    counts = { passed: 0, failed: 1 };
    remark = ` (no usable report: ${error.message})`;
  }
  // A runner can fail without a failed test: a file that does not load, an error outside of any test.
  if (counts.failed === 0 && (status !== 0 || counts.passed === 0)) {
    counts.failed = 1;
    remark ||= status === 0 ? ' (ran no test)' : ` (ended with ${status})`;
  }
  process.stdout.write(`${name}: ${counts.passed} passed, ${counts.failed} failed${remark}\n`);
  passed += counts.passed;
  failed += counts.failed;
}
if (runners.length === 0) failed = 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
