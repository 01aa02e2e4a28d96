#!/usr/bin/env node
// Builds the native addon to crates-free/native/build/Release/mdev.node.
//
// npm hides what a successful `prepare` script prints, and shows everything when one fails: whatever a person has to
// act on goes to stderr, with exit code 1.

import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const nativeDir = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

/** Prints one message for the operator and ends with exit code 1. */
function fail(message) {
  process.stderr.write(`mdev-user: ${message}\n`);
  process.exit(1);
}

/** Whether an executable called `name` is in PATH. */
function inPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, name)));
}

/** The path of a file inside an installed package, or undefined when the package is absent. */
function resolveInstalled(request) {
  try {
    return require.resolve(request);
  } catch {
    return undefined;
  }
}

/** Whether `dir` is what node-gyp expects behind --nodedir: an installation prefix, or a source tree of Node.js. */
function isNodedir(dir) {
  return ['include/node/node_api.h', 'src/node_api.h'].some((header) => existsSync(join(dir, header)));
}

/**
 * The prefix whose headers belong to the running node. Beside the executable comes first: those headers always match.
 * Without one, node-gyp would fetch headers from the network, which fails on machines that have none.
 */
function findNodedir() {
  const candidates = [
    dirname(dirname(realpathSync(process.execPath))),
    dirname(dirname(process.execPath)),
    process.env.npm_config_nodedir,
    '/usr',
    '/usr/local',
  ];
  return candidates.find((dir) => dir !== undefined && isNodedir(dir));
}

const missingPackages = ['node-gyp', 'node-addon-api', 'typescript'].filter(
  (name) => resolveInstalled(`${name}/package.json`) === undefined,
);
if (missingPackages.length > 0) {
  fail(
    `cannot build: ${missingPackages.join(', ')} not installed; ` +
      'install the development dependencies too (npm ci --include=dev, or unset NODE_ENV=production)',
  );
}

const tools = [
  { command: process.env.CXX ?? 'g++', debianPackage: 'g++' },
  { command: 'make', debianPackage: 'make' },
  { command: process.env.PYTHON ?? 'python3', debianPackage: 'python3' },
];
const missingTools = tools.filter(({ command }) => !inPath(command) && !existsSync(command));
if (missingTools.length > 0) {
  fail(
    `cannot build the native addon: ${missingTools.map(({ command }) => command).join(', ')} not found; install with:\n` +
      `  apt-get install -y ${missingTools.map(({ debianPackage }) => debianPackage).join(' ')}`,
  );
}

const nodedir = findNodedir();
if (nodedir === undefined) {
  fail(
    `cannot build the native addon: no Node.js headers (include/node/node_api.h) beside ${process.execPath}; ` +
      "install your distribution's libnode-dev, or set npm_config_nodedir to a prefix that has them",
  );
}

// node-gyp lets npm_config_nodedir override --nodedir: the child must not see it.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.toLowerCase() !== 'npm_config_nodedir'),
);
const nodeGyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');

// `configure` lists the sources again, so that new files are seen; make then compiles only what changed.
const { status, signal, error } = spawnSync(
  process.execPath,
  [nodeGyp, 'configure', 'build', `--nodedir=${nodedir}`, '--release', '--loglevel=warn', '--jobs=max'],
  { cwd: nativeDir, env: environment, stdio: ['ignore', 'inherit', 'inherit'] },
);
if (status !== 0) {
  fail(`building the native addon failed (${error?.message ?? signal ?? `exit code ${String(status)}`})`);
}
