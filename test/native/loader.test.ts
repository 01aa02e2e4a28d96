import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { loadAddon } from '../../src/native/loader.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mdev-loader-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

it('loads the addon', () => {
  expect(loadAddon()).toMatchObject({ abiVersion: 1 });
});

it('says in one line how to build what is missing', () => {
  const path = join(directory, 'none.node');
  expect(() => loadAddon({ MDEV_NATIVE_PATH: path })).toThrow(
    `mdev-user: no native addon at ${path}; it is named by $MDEV_NATIVE_PATH; expected the path of an mdev.node, or no such variable`,
  );
});

it('says in one line why a file does not load', () => {
  const path = join(directory, 'broken.node');
  writeFileSync(path, 'not a shared object\n');
  expect(() => loadAddon({ MDEV_NATIVE_PATH: path })).toThrow(
    /^mdev-user: cannot load the native addon .*broken\.node \(.+\); it is named by/,
  );
});

it('takes an empty variable for none', () => {
  const named = process.env['MDEV_NATIVE_PATH'];
  const load = (): unknown => loadAddon({ MDEV_NATIVE_PATH: '' });
  // Only where the package's own addon is the one under test.
  if (named === undefined) expect(load()).toMatchObject({ abiVersion: 1 });
  else expect(named).not.toBe('');
});
