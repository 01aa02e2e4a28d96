import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { cppFiles } from './support/cpp-files.mjs';
import { strayNodeIncludes } from './support/napi-includes.ts';

const root = resolve(import.meta.dirname, '../..');
let tree = '';

function plant(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'mdev-napi-'));
});

afterEach(() => {
  rmSync(tree, { recursive: true, force: true });
});

it('only addon.cc and *_object.cc of the addon include Node’s headers', () => {
  expect(cppFiles(root)).toContain('crates-free/native/src/addon.cc');
  expect(strayNodeIncludes(root)).toEqual([]);
});

it('allows them where JavaScript meets C++', () => {
  plant('crates-free/native/src/addon.cc', '#include <napi.h>\n');
  plant('crates-free/native/src/core/device_object.cc', '#include <napi.h>\n');
  expect(strayNodeIncludes(tree)).toEqual([]);
});

it.each([
  ['crates-free/native/src/core/device.cc', '#include <napi.h>\n'],
  ['crates-free/native/src/core/device_object.h', '// wrapper\n#  include "napi.h"\n'],
  ['crates-free/native/src/engine/engine.cc', '#include <cstdint>\n\t#include <node_api.h>\n'],
  ['test/native/engine_test.cc', '#include <v8.h>\n'],
])('finds the include planted in %s', (path, text) => {
  plant('crates-free/native/src/addon.cc', '#include <napi.h>\n');
  plant(path, text);
  expect(strayNodeIncludes(tree)).toEqual([path]);
});
