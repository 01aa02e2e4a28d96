import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { checkStateOptions, isSameFile } from '../../src/cli/state-options.ts';
import { mdev } from './support/run.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-state-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts `mdev serve` with files of state; what it says when it ends. */
async function serve(...words: readonly string[]): Promise<{ readonly code: number | null; readonly stderr: string }> {
  return await mdev('serve', '--type', 'dsa-1dwq-v1', '--socket-path', join(folder, 'socket'), ...words);
}

describe('a state that could not be saved', () => {
  it('is told at the start, and not when it is too late', async () => {
    const file = join(folder, 'missing', 'state');
    const { code, stderr } = await serve('--save-on-exit', file);
    expect(stderr).toMatch(/^mdev: --save-on-exit [^\n]*missing\/state: ENOENT[^\n]*; create its directory first\n$/);
    expect([code, readdirSync(folder)]).toEqual([1, []]);
  });

  it.each([
    ['state', /it is a directory/],
    ['file/state', /ENOTDIR.*; choose a file in a directory$/],
    ['x'.repeat(255), /ENAMETOOLONG.*; choose a shorter name$/],
  ])('because of %s', async (name, message) => {
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'file'), '');
    await expect(checkStateOptions({ saveOnExit: join(folder, name) })).rejects.toThrow(message);
    expect(readdirSync(folder).sort()).toEqual(['file', 'state']);
  });

  it('is looked for without a trace', async () => {
    const file = join(folder, 'state');
    await checkStateOptions({ saveOnExit: file });
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(`${file}.${process.pid}`, 'being written by a process of this number in another container');
    await checkStateOptions({ saveOnExit: file, restore: file });
    expect(readdirSync(folder)).toEqual([`state.${process.pid}`]);
  });
});

describe('a state that cannot be restored', () => {
  it.each([
    ['is missing', 'state', /--restore [^\n]*ENOENT[^\n]*; name the same file for --save-on-exit if it need not/],
    ['is a directory', '.', /--restore [^\n]*: it is no file\n$/],
    ['never ends', '/dev/zero', /--restore \/dev\/zero: it is no file\n$/],
  ])('because it %s names its option', async (_how, name, message) => {
    const { code, stderr } = await serve('--restore', name.startsWith('/') ? name : join(folder, name));
    expect(stderr).toMatch(/^mdev: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect([code, existsSync(join(folder, 'socket'))]).toEqual([1, false]);
  });
});

describe('paths that cannot be', () => {
  it.each([
    [{ saveOnExit: '' }, '--save-on-exit has no path'],
    [{ restore: '' }, '--restore has no path'],
    [{ saveOnExit: '/run/a', socketPath: '/run/../run/a' }, '--save-on-exit and --socket-path are both /run/a'],
    [{ restore: '/run/a', handover: '/run/a' }, '--restore and --handover are both /run/a'],
  ])('%o', async (options, message) => {
    await expect(checkStateOptions(options)).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining(message) as string,
    });
  });

  it('one file may be written in two ways', () => {
    expect(isSameFile({ saveOnExit: '/run/a', restore: '/run/./a' })).toBe(true);
    expect(isSameFile({ saveOnExit: '/run/a' })).toBe(false);
    expect(isSameFile({})).toBe(false);
  });
});
