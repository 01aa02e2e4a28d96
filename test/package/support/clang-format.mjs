#!/usr/bin/env node
// clang-format.mjs --check | --write
// Checks (or rewrites) every C++ file of the project with crates-free/native/.clang-format.

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

import { cppFiles } from './cpp-files.mjs';

const modes = { '--check': ['--dry-run', '-Werror'], '--write': ['-i'] };
const mode = modes[process.argv[2]];
if (mode === undefined || process.argv.length !== 3) {
  process.stderr.write('usage: clang-format.mjs --check | --write\n');
  process.exit(2);
}

const root = resolve(import.meta.dirname, '../../..');
const style = `--style=file:${join(root, 'crates-free/native/.clang-format')}`;
const files = cppFiles(root);
if (files.length === 0) {
  process.stderr.write('clang-format.mjs: found no C++ files\n');
  process.exit(1);
}
const { status, error } = spawnSync('clang-format', [style, ...mode, ...files], { cwd: root, stdio: 'inherit' });
if (error !== undefined) {
  process.stderr.write(`clang-format: ${error.message}; install with: apt-get install -y clang-format\n`);
}
process.exit(status ?? 1);
