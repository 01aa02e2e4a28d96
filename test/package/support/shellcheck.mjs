#!/usr/bin/env node
// shellcheck.mjs
// Runs shellcheck on every shell script that git knows, whatever its name: .shellcheckrc has its settings.

import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');
const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
});

/** Whether a file is a script of sh or bash, or says that it is part of one. */
function isScript(name) {
  const path = join(root, name);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  const [first = ''] = readFileSync(path, 'utf8').split('\n', 1);
  return /^#!.*\b(ba)?sh\b|^# shellcheck shell=/.test(first);
}

const scripts = stdout.split('\0').filter((name) => name !== '' && isScript(name));
if (scripts.length === 0) {
  process.stderr.write('shellcheck.mjs: found no shell scripts\n');
  process.exit(1);
}
const { status, error } = spawnSync('shellcheck', scripts, { cwd: root, stdio: 'inherit' });
if (error !== undefined) {
  process.stderr.write(`shellcheck: ${error.message}; install with: apt-get install -y shellcheck\n`);
}
process.exit(status ?? 1);
