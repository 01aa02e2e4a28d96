import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { OPERATION_NAMES } from '../../src/cli/demo/operation-names.ts';
import { type Running, start } from './support/run.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-demo-test-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the demo with `folder` for its temporary files. */
async function demo(...words: string[]): Promise<Running> {
  return await start('cli/start.js', words, { environment: { TMPDIR: folder } });
}

describe('npm start', () => {
  it.each(['dsa-cfg-v1', 'dsa-1dwq-v1'])('shows %s at work and leaves nothing behind', async (type) => {
    const { code, stderr, stdout } = await (await demo('--type', type)).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/│ 000 +│ VENDOR_ID +│ 8086 +│/);
    const capabilities = '[40] PCIE, 60 bytes; [80] MSIX, 12 bytes; [90] PM, 8 bytes; [100] AER, 72 bytes';
    expect(stdout).toContain(`Capabilities: ${capabilities}\n`);
    for (const operation of ['Memory move', 'Fill', 'Compare, equal', 'Compare, different', 'CRC-32C', 'Batch']) {
      expect(stdout).toMatch(new RegExp(`│ ${operation}[^│]*│ +\\d+ │ +[\\d.]+ (µs|ms) │ status 1 │ vector 1 +│ \\S`));
    }
    expect(stdout).toContain('All 7 as expected');
    // Each descriptor is eight writes; of them and the register accesses only commands and config space enter JavaScript.
    const [, writes = '', traps = ''] = /and (\d+) writes of regions; (\d+) of them entered/.exec(stdout) ?? [];
    expect(Number(writes)).toBeGreaterThanOrEqual(8 * 7);
    expect(Number(traps)).toBeLessThan(10);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(OPERATION_NAMES)('notices one wrong bit of memory in "%s"', async (operation) => {
    const { code, stderr, stdout } = await (await demo('--corrupt', operation)).ended;
    expect(stderr).toMatch(/^mismatch: [^\n]+ is 0x[0-9a-f]+; expected 0x[0-9a-f]+\n$/);
    expect(stdout).not.toContain('as expected');
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says which operation went wrong, what was found and what was expected', async () => {
    const { stderr } = await (await demo('--corrupt', 'compare')).ended;
    expect(stderr).toBe('mismatch: Compare, equal: result in the completion record is 0x1; expected 0x0\n');
  });

  it('ends both processes and leaves nothing behind when it is stopped', async () => {
    await using running = await demo();
    await running.line();
    running.child.kill('SIGTERM');
    const { code } = await running.ended;
    // It may have been faster.
    expect([0, 1]).toContain(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([['--type', 'dsa-cfg-v2'], ['--corrupt', 'nothing'], ['more']])('refuses %s %s with 2', async (...words) => {
    const { code, stderr } = await (await demo(...words)).ended;
    expect(stderr).toMatch(/^mdev: [^\n]+\n$/);
    expect(code).toBe(2);
  });
});
