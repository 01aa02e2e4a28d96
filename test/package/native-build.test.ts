import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
let tree = '';

/** Runs the tree's build.mjs with the environment changed; `undefined` removes a variable. */
function build(environment: Record<string, string | undefined>): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(tree, 'crates-free/native/build.mjs')], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  return { status, stderr };
}

/** Whether the tree's addon loads in a process of its own. */
function loads(): boolean {
  const addon = join(tree, 'crates-free/native/build/Release/mdev.node');
  return spawnSync(process.execPath, ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', addon]).status === 0;
}

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'mdev-build-'));
  mkdirSync(join(tree, 'crates-free/native/src'), { recursive: true });
  for (const name of ['build.mjs', 'binding.gyp']) {
    cpSync(join(root, 'crates-free/native', name), join(tree, 'crates-free/native', name));
  }
  writeFileSync(
    join(tree, 'crates-free/native/src/addon.cc'),
    '#include <napi.h>\nstatic Napi::Object Init(Napi::Env, Napi::Object exports) { return exports; }\nNODE_API_MODULE(mdev, Init)\n',
  );
});

afterEach(() => {
  rmSync(tree, { recursive: true, force: true });
});

describe('build.mjs', () => {
  it.each([['/nonexistent'], [undefined], [resolve(process.execPath, '../..')]])(
    'builds with npm_config_nodedir=%s',
    (nodedir) => {
      symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
      expect(build({ npm_config_nodedir: nodedir })).toMatchObject({ status: 0 });
      expect(loads()).toBe(true);
    },
  );

  it('names the missing compiler and the line that installs it', () => {
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    const { status, stderr } = build({ PATH: tree, CXX: undefined, PYTHON: undefined });
    expect(status).toBe(1);
    expect(stderr).toContain('g++, make, python3 not found');
    expect(stderr).toContain('apt-get install -y g++ make python3');
  });

  it('says in one line that development dependencies are missing', () => {
    const { status, stderr } = build({});
    expect(status).toBe(1);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/node-gyp, node-addon-api, typescript not installed; .*--include=dev/);
  });

  it('fails with the compiler’s message when a source is broken', () => {
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    writeFileSync(join(tree, 'crates-free/native/src/broken.cc'), 'int broken() { unsigned x = 1; return x < -1; }\n');
    const { status, stderr } = build({});
    expect(status).toBe(1);
    expect(stderr).toContain('broken.cc');
    expect(stderr).toContain('building the native addon failed');
  });
});
