import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { restoreState, saveState } from '../../src/cli/state-file.ts';
import { counter } from '../mdev/support/migratable.ts';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-state-'));
  file = join(folder, 'state');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

it('is written although a process of the same number has died in the middle of writing it', async () => {
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, 'half of it');
  const { device } = await counter();
  await saveState(device, file);
  expect(readFileSync(file).length).toBeGreaterThan(10);
  expect(existsSync(partial)).toBe(false);
  await device.close();
});

it('outlasts a loss of power when it is told that it is there, and stays away when it is told that it is gone', async () => {
  const synced: string[] = [];
  const probe = await open(folder);
  const handles = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  vi.spyOn(handles, 'sync').mockImplementation(function (this: FileHandle) {
    synced.push(`${readlinkSync(`/proc/self/fd/${this.fd}`)}, ${existsSync(file) ? 'there' : 'not there'}`);
    return Promise.resolve();
  });
  const first = await counter();
  first.count = 7;
  await saveState(first.device, file);
  await first.device.close();
  expect(synced).toEqual([`${file}.${process.pid}, not there`, `${folder}, there`]);

  const second = await counter();
  const remove = await restoreState(second.device, file, { mayBeMissing: false });
  expect(second.count).toBe(7);
  await remove();
  expect(synced.at(-1)).toBe(`${folder}, not there`);
  await second.device.close();
});
