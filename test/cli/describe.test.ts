import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { describe as describeBlock } from '../../src/emulation/index.ts';
import { softwareDsa } from '../../src/backends/idxd/index.ts';
import { mdev } from './support/run.ts';

const TYPES = ['dsa-cfg-v1', 'dsa-1dwq-v1', 'dsa-1swq-v1'];

function configSpaceOf(name: string, input: Readonly<Record<string, string>> = {}) {
  const type = softwareDsa().type(name);
  return type.declarationOf(type.parseAttributes(input)).configSpace;
}

/** Bigints as the command prints them. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === 'bigint' ? `0x${member.toString(16)}` : member,
    ),
  );
}

interface Described {
  readonly configSpace: {
    readonly size: number;
    readonly bars: readonly { readonly index: number; readonly size: number }[];
    readonly capabilities: readonly { readonly id: number; readonly offset: number }[];
    readonly registers: readonly { readonly offset: number; readonly width: number; readonly reset: string }[];
  };
}

async function describedAsJson(...words: string[]): Promise<Described> {
  const { code, stderr, stdout } = await mdev('describe', ...words, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Described;
}

async function dumpOf(type: string): Promise<string> {
  const { code, stderr, stdout } = await mdev('describe', '--type', type, '--dump');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('mdev describe --json', () => {
  it.each(TYPES)('is the declaration of %s', async (type) => {
    const { bars, block, capabilities, size } = configSpaceOf(type);
    expect(await describedAsJson('--type', type)).toEqual(
      plain({
        configSpace: {
          size,
          bars: Object.entries(bars).map(([index, bar]) => ({
            index: Number(index),
            size: bar.size,
            width: bar.width,
            prefetchable: bar.prefetchable,
          })),
          capabilities: capabilities.map(({ id, offset, version }) => ({ id, offset, version })),
          registers: describeBlock(block),
        },
      }),
    );
  });

  it('has what the idxd driver looks for', async () => {
    const { configSpace } = await describedAsJson('--type', 'idxd-dsa-cfg-v1');
    expect(configSpace.size).toBe(4096);
    expect(configSpace.bars.map(({ index }) => index)).toEqual([0, 2]);
    expect(configSpace.capabilities).toEqual([
      { id: 0x10, offset: 0x40 },
      { id: 0x11, offset: 0x80 },
      { id: 0x01, offset: 0x90 },
      { id: 0x0001, offset: 0x100, version: 2 },
    ]);
  });

  it('obeys --set', async () => {
    const { configSpace } = await describedAsJson('--type', 'dsa-cfg-v1', '--set', 'queues=2');
    expect(configSpace.bars.find(({ index }) => index === 2)?.size).toBe(2 * 16384);
  });
});

describe('mdev describe', () => {
  it('tells BARs, capabilities and every register', async () => {
    const { stdout } = await mdev('describe', '--type', 'dsa-cfg-v1', '--set', 'queues=2');
    expect(stdout).toMatch(/^dsa-cfg-v1 on dsa0: /);
    expect(stdout).toMatch(/^Attributes: queues=2 /m);
    expect(stdout).toMatch(/^ {2}bar2: 32 KiB, 64-bit, prefetchable, portals$/m);
    expect(stdout).toMatch(/^ {2}\[80\] MSIX: capability 0x11, 12 bytes$/m);
    expect(stdout).toMatch(/^0000 {2}VERSION .*0x00000100/m);
    for (const { path } of describeBlock(configSpaceOf('dsa-cfg-v1').block)) expect(stdout).toContain(` ${path} `);
    expect(stdout).toContain(' WQCFG[1].MODE ');
    expect(stdout).not.toContain(' WQCFG[2].MODE ');
  });
});

describe('mdev describe --dump', () => {
  it.each(TYPES)('has the reset values of %s', async (type) => {
    const lines = (await dumpOf(type)).trimEnd().split('\n');
    const image = Buffer.from(
      lines
        .slice(1)
        .map((line) => line.replace(/^[0-9a-f]+: /, '').replaceAll(' ', ''))
        .join(''),
      'hex',
    );
    const { configSpace } = await describedAsJson('--type', type);
    const expected = Buffer.alloc(configSpace.size);
    for (const { offset, reset, width } of configSpace.registers) {
      expected.writeUIntLE(Number(reset), offset, width / 8);
    }
    expect(image.equals(expected)).toBe(true);
    expect(lines[1]).toMatch(/^00: 86 80 25 0b /);
  });

  const hasLspci = spawnSync('lspci', ['--version']).status === 0;
  if (!hasLspci) console.warn('skipped: lspci does not run; install pciutils');

  it.skipIf(!hasLspci).each([
    ['dsa-cfg-v1', 9],
    ['dsa-1dwq-v1', 2],
    ['dsa-1swq-v1', 2],
  ])('is decoded by lspci for %s', async (type, vectors) => {
    const folder = mkdtempSync(join(tmpdir(), 'mdev-dump-'));
    try {
      const file = join(folder, 'dump');
      writeFileSync(file, await dumpOf(type));
      const text = execFileSync('lspci', ['-F', file, '-nvvv'], { encoding: 'utf8', stdio: 'pipe' });
      expect(text).toMatch(/^00:00\.0 0880: 8086:0b25/);
      expect(text).toContain('Capabilities: [40] Express (v2) Root Complex Integrated Endpoint');
      expect(text).toContain('FLReset+');
      expect(text).toContain(`Capabilities: [80] MSI-X: Enable- Count=${vectors} Masked-`);
      expect(text).toContain('Capabilities: [90] Power Management version 3');
      expect(text).not.toMatch(/<chain|Unknown|corrupted|invalid/i);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
