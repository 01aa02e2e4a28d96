import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
/** Layers whose tests start no process of this package and load the same modules each time. */
const LAYERS = ['emulation', 'mdev', 'engine', 'protocol', 'backends', 'vfio-user'];
/** What looks at all of its process, or changes what others in it would find, where it must be alone. */
const LOOKS_AT_PROCESS = /openFiles|fillFiles|cpuUsage|\/proc\/self|process\.env\['\w+'\] = /;

/**
 * Test files that run one after the other in the same process, by their path from the root: for most of them starting one and loading modules takes
 * longer than the tests.
 */
export function sharingFiles(): string[] {
  return LAYERS.flatMap((layer) =>
    readdirSync(join(root, 'test', layer), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join('test', layer, name))
      .filter((path) => !LOOKS_AT_PROCESS.test(readFileSync(join(root, path), 'utf8'))),
  );
}
