import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** The part of dependency-cruiser's JSON report that the test reads. */
interface Report {
  summary: {
    ruleSetUsed: { forbidden: { name: string }[] };
    violations: { rule: { name: string }; from: string; to: string }[];
    totalCruised: number;
  };
}

/** A tree in which every layer uses all that it may use. */
const legal: Record<string, string> = {
  'src/emulation/index.ts': "export { one } from './one.ts';\n",
  'src/emulation/one.ts': 'export const one = 1;\nexport type One = typeof one;\n',
  'src/native/binding.ts':
    "import { createRequire } from 'node:module';\nimport { one } from '../emulation/one.ts';\nexport const load = [createRequire, one];\n",
  'src/engine/index.ts': "export { load } from '../native/binding.ts';\nexport { one } from '../emulation/one.ts';\n",
  'src/mdev/index.ts': "export { life } from './life.ts';\nexport { one } from '../emulation/index.ts';\n",
  'src/mdev/life.ts':
    "import { EventEmitter } from 'eventemitter3';\nimport { load } from '../native/binding.ts';\nexport const life = [EventEmitter, load];\n",
  'src/vfio-user/index.ts':
    "export { life } from '../mdev/life.ts';\nexport * from '../engine/index.ts';\nexport { load as l } from '../native/binding.ts';\n",
  'src/vfio-user/protocol/facts.ts': 'export const size = 16;\n',
  'src/vfio-user/client/client.ts':
    "import { size } from '../protocol/facts.ts';\nexport const client = size;\nexport type Client = typeof client;\n",
  'src/vfio-user/server/server.ts':
    "import { size } from '../protocol/facts.ts';\nexport const server = size;\nexport type Server = typeof server;\n",
  'src/backends/idxd/index.ts': "export * from './device.ts';\n",
  'src/backends/idxd/device.ts':
    "import { one } from '../../emulation/index.ts';\nimport * as e from '../../engine/index.ts';\nimport { life } from '../../mdev/index.ts';\nexport const device = [one, e, life];\n",
  'src/backends/mtty/index.ts': 'export const mtty = 1;\n',
  'src/testing/index.ts':
    "import fc from 'fast-check';\nimport { life } from '../mdev/index.ts';\nimport { device } from '../backends/idxd/index.ts';\nexport const kit = [fc, life, device];\n",
  'src/daemon/main.ts':
    "import * as v from '../vfio-user/index.ts';\nimport { device } from '../backends/idxd/index.ts';\nexport const daemon = [v, device];\n",
  'src/cli/main.ts':
    "import { Command } from 'commander';\nimport { daemon } from '../daemon/main.ts';\nimport { device } from '../backends/idxd/index.ts';\nexport const cli = [Command, daemon, device];\n",
  // Two modules whose types refer to each other: no cycle when they run.
  'src/mdev/left.ts': "import type { Right } from './right.ts';\nexport interface Left {\n  right: Right;\n}\n",
  'src/mdev/right.ts': "import type { Left } from './left.ts';\nexport interface Right {\n  left: Left;\n}\n",
  'test/helper.ts': 'export const helper = 1;\n',
};

/** One file per rule that breaks it; where a type import is enough to break it, a type import. */
const planted: Record<string, { file: string; text: string }> = {
  'emulation-imports-nothing-else': {
    file: 'src/emulation/bad.ts',
    text: "import type { Stats } from 'node:fs';\nexport type S = Stats;\n",
  },
  'native-imports-only-below': { file: 'src/native/bad.ts', text: "export { life } from '../mdev/index.ts';\n" },
  'engine-imports-only-below': {
    file: 'src/engine/bad.ts',
    text: "import type { Left } from '../mdev/left.ts';\nexport type L = Left;\n",
  },
  'mdev-imports-only-below': {
    file: 'src/mdev/bad.ts',
    text: "import type { load } from '../engine/index.ts';\nexport type L = typeof load;\n",
  },
  'vfio-user-imports-only-below': {
    file: 'src/vfio-user/bad.ts',
    text: "export { device } from '../backends/idxd/index.ts';\n",
  },
  'vfio-user-client-knows-no-server': {
    file: 'src/vfio-user/client/bad.ts',
    text: "import type { Server } from '../server/server.ts';\nexport type S = Server;\n",
  },
  'vfio-user-server-knows-no-client': {
    file: 'src/vfio-user/handover/bad.ts',
    text: "import type { Client } from '../client/client.ts';\nexport type C = Client;\n",
  },
  'vfio-user-protocol-knows-no-side': {
    file: 'src/vfio-user/protocol/bad.ts',
    text: "import type { Client } from '../client/client.ts';\nexport type C = Client;\n",
  },
  'daemon-imports-only-below': { file: 'src/daemon/bad.ts', text: "export { cli } from '../cli/main.ts';\n" },
  'cli-imports-only-below': { file: 'src/cli/bad.ts', text: "export { kit } from '../testing/index.ts';\n" },
  'backends-use-public-indices': {
    file: 'src/backends/idxd/bad.ts',
    text: "import type { One } from '../../emulation/one.ts';\nexport type O = One;\n",
  },
  'backends-are-used-by-index': {
    file: 'src/cli/bad-index.ts',
    text: "export { device } from '../backends/idxd/device.ts';\n",
  },
  'testing-uses-public-indices': { file: 'src/testing/bad.ts', text: "export { life } from '../mdev/life.ts';\n" },
  'fast-check-only-in-testing': {
    file: 'src/engine/bad-property.ts',
    text: "import type { Arbitrary } from 'fast-check';\nexport type A = Arbitrary<number>;\n",
  },
  'no-development-packages': { file: 'src/vfio-user/bad-package.ts', text: "export { describe } from 'vitest';\n" },
  'src-is-self-contained': { file: 'src/cli/bad-test.ts', text: "export { helper } from '../../test/helper.ts';\n" },
  'no-runtime-cycles': {
    file: 'src/mdev/bad-cycle.ts',
    text: "export { half } from './other-half.ts';\nexport const whole = 1;\n",
  },
  'no-unresolvable': { file: 'src/cli/bad-path.ts', text: "export { nothing } from './nowhere.ts';\n" },
};

/** Files that only planted violations need. */
const accomplices: Record<string, string> = {
  'src/mdev/other-half.ts': "import { whole } from './bad-cycle.ts';\nexport const half = whole;\n",
};

/** Writes the files below `directory` and reports what dependency-cruiser, run there with our configuration, finds. */
async function cruise(directory: string, files: Record<string, string>): Promise<Report> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  for (const name of ['package.json', 'tsconfig.json', '.dependency-cruiser.mjs']) {
    await cp(join(root, name), join(directory, name));
  }
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  // Exit code 0 whatever is found: `--output-type json` reports violations in its text.
  const { stdout } = await run(
    process.execPath,
    [
      join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      '--config',
      '.dependency-cruiser.mjs',
      '--output-type',
      'json',
      'src',
    ],
    { cwd: directory, maxBuffer: 64 << 20 },
  );
  return JSON.parse(stdout) as Report;
}

describe('layers of src', () => {
  let scratch = '';
  let clean: Report;
  let dirty: Report;

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'mdev-layers-'));
    await mkdir(join(scratch, 'clean'));
    await mkdir(join(scratch, 'dirty'));
    const violations = Object.fromEntries(Object.values(planted).map(({ file, text }) => [file, text]));
    [clean, dirty] = await Promise.all([
      cruise(join(scratch, 'clean'), legal),
      cruise(join(scratch, 'dirty'), { ...legal, ...accomplices, ...violations }),
    ]);
  });

  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true });
  });

  it('lets every layer use all that it may use', () => {
    expect(clean.summary.totalCruised).toBeGreaterThan(Object.keys(legal).length - 2);
    expect(clean.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  });

  it('has a planted violation for every rule', () => {
    const rules = clean.summary.ruleSetUsed.forbidden.map((rule) => rule.name);
    expect(Object.keys(planted).sort()).toEqual(rules.sort());
  });

  it.each(Object.entries(planted))('%s fires', (name, { file }) => {
    const hits = dirty.summary.violations.filter((violation) => violation.rule.name === name);
    expect(hits.map((violation) => violation.from)).toContain(file);
  });
});
