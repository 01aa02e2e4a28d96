import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** The parts of package.json that are promises. */
interface Manifest {
  name: string;
  version: string;
  type: string;
  license: string;
  engines: Record<string, string>;
  bin: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
  files: string[];
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** The parts of package-lock.json that are promises. */
interface Lock {
  version: string;
  packages: Record<string, { resolved?: string; integrity?: string }>;
}

function read(name: string): string {
  return readFileSync(join(root, name), 'utf8');
}

const manifest = JSON.parse(read('package.json')) as Manifest;

/** The source of a file below dist. */
function sourceOf(target: string): string {
  return target.replace(/^(\.\/)?dist\//, 'src/').replace(/(\.d\.ts|\.js)$/, '.ts');
}

describe('package.json', () => {
  it('pins every dependency to one version', () => {
    for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  it('runs no script on a user’s machine', () => {
    // npm also runs `node-gyp rebuild` by itself where it finds a binding.gyp beside a package.json.
    for (const script of ['preinstall', 'install', 'postinstall']) expect(manifest.scripts).not.toHaveProperty(script);
    expect(existsSync(join(root, 'binding.gyp'))).toBe(false);
    expect(existsSync(join(root, 'crates-free/native/package.json'))).toBe(false);
  });

  it('is an ES module under the Apache licence', () => {
    expect(manifest).toMatchObject({ name: 'mdev-user', type: 'module', license: 'Apache-2.0' });
    expect(read('LICENSE')).toMatch(/^\s*Apache License\s+Version 2\.0, January 2004/);
  });

  it('exports and runs only what has a source', () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    for (const target of [...targets, ...Object.values(manifest.bin)].filter((name) => name.includes('dist/'))) {
      expect(existsSync(join(root, sourceOf(target))), `${target} has no ${sourceOf(target)}`).toBe(true);
    }
  });

  it('names folders that exist in files', () => {
    for (const name of manifest.files.filter((file) => !file.startsWith('dist'))) {
      expect(existsSync(join(root, name)), name).toBe(true);
    }
  });
});

describe('package-lock.json', () => {
  const lock = JSON.parse(read('package-lock.json')) as Lock;

  it('belongs to this version', () => {
    expect(lock.version).toBe(manifest.version);
  });

  it('records what each package contains and not where it was downloaded', () => {
    for (const [path, entry] of Object.entries(lock.packages)) {
      expect(entry, path).not.toHaveProperty('resolved');
      if (path !== '') expect(entry, path).toHaveProperty('integrity');
    }
  });
});
