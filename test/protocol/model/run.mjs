#!/usr/bin/env node
// Random sequences of messages against the served device and against a model of it.
//
// usage: npm run test:model [-- [--seed N] [--sequences N] [--only N]]
//
// Without a seed it is the fixed one: the same sequences on every machine. --only plays a single sequence of a seed. The
// last line is "N passed, N failed": the property is one test.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const USAGE = 'usage: npm run test:model [-- [--seed N] [--sequences N] [--only N]]';
const root = join(import.meta.dirname, '../../..');

/** The options as environment variables; undefined when they are none. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: { seed: { type: 'string' }, sequences: { type: 'string' }, only: { type: 'string' } },
    });
    const entries = Object.entries(values);
    if (entries.some(([, value]) => !/^\d{1,9}$/.test(value))) return undefined;
    return Object.fromEntries(entries.map(([name, value]) => [`MODEL_${name.toUpperCase()}`, value]));
  } catch {
    return undefined;
  }
}

const options = readOptions();
if (options === undefined) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', join(root, 'vitest.model.config.ts')], {
  cwd: root,
  env: { ...process.env, ...options },
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.stdout.write(status === 0 ? '1 passed, 0 failed\n' : '0 passed, 1 failed\n');
process.exitCode = status === 0 ? 0 : 1;
