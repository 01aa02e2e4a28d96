import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { VfioRegion } from '../../src/mdev/index.ts';
import { type Client, connect } from '../../src/vfio-user/index.ts';
import { type Running, start } from './support/run.ts';

const COMMAND = 4;
const DSA = 0x0b25;

let folder = '';
let socketPath = '';
let handover = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-handover-'));
  socketPath = join(folder, 'socket');
  handover = join(folder, 'handover');
  file = join(folder, 'state');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function serve(...words: readonly string[]): Promise<Running> {
  return await start('cli/main.js', ['serve', '--type', 'dsa-cfg-v1', '--socket-path', socketPath, ...words]);
}

async function stop(server: Running): Promise<void> {
  server.child.kill('SIGTERM');
  expect((await server.ended).code).toBe(0);
}

async function identity(client: Client): Promise<number> {
  return await client.readRegister(VfioRegion.config, 2, 2);
}

describe('mdev serve --handover', () => {
  it('takes over from the one that serves, with its client and its UUID; the old one ends with 0', async () => {
    await using first = await serve('--handover', handover);
    const uuid = /serving (\S+)/.exec(await first.line())?.[1] ?? '';
    expect(statSync(handover).mode & 0o777).toBe(0o600);
    const client = await connect({ socketPath });
    await client.writeRegister(VfioRegion.config, COMMAND, 2, 6);

    await using second = await serve('--handover', handover);
    expect(await second.line()).toContain(`serving ${uuid}`);
    const ended = await first.ended;
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/handed over to process \d+; this process ends/);
    expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(6);
    expect(await second.told(/was taken over with its client/)).not.toBe('');

    await using third = await serve('--handover', handover, '--uuid', uuid);
    await third.line();
    expect((await second.ended).code).toBe(0);
    expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(6);
    await client.close();
    await stop(third);
    expect([existsSync(socketPath), existsSync(handover)]).toEqual([false, false]);
  });

  it.each([
    ['another number of queues', ['--set', 'queues=1'], /attribute "queues"/],
    ['another UUID', ['--uuid', '5f1c0000-0000-4000-8000-00000000abcd'], /--uuid/],
    ['another socket path', ['--socket-path', '/nowhere'], /serves at .*, this one is to serve at \/nowhere/],
  ])('ends with 1 for %s; the old one goes on, and both say why', async (_what, words, why) => {
    await using first = await serve('--handover', handover);
    await first.line();
    const client = await connect({ socketPath });
    await using second = await serve('--handover', handover, ...words);
    const { code, stderr, stdout } = await second.ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(why);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(await first.told(/not handed over to process \d+: .*; this process goes on/)).toMatch(why);
    expect(await identity(client)).toBe(DSA);
    await client.close();
    await stop(first);
  });
});

describe('mdev serve --save-on-exit and --restore', () => {
  it('leave the state to the next server, which finds it once', async () => {
    const words = ['--save-on-exit', file, '--restore', file];
    await using first = await serve(...words);
    await first.line();
    const client = await connect({ socketPath });
    await client.writeRegister(VfioRegion.config, COMMAND, 2, 6);
    await client.close();
    await stop(first);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    await using second = await serve(...words);
    await second.line();
    expect(existsSync(file)).toBe(false);
    const next = await connect({ socketPath });
    expect(await next.readRegister(VfioRegion.config, COMMAND, 2)).toBe(6);
    // Also with a client that is there.
    await stop(second);
    expect(existsSync(file)).toBe(true);
    await next.close();
  });

  it('leave the state where it is when the instance cannot be served', async () => {
    await using first = await serve('--save-on-exit', file);
    await first.line();
    await stop(first);
    const saved = readFileSync(file);
    await using second = await serve('--restore', file, '--socket-path', join(folder, 'missing', 'socket'));
    expect((await second.ended).code).toBe(1);
    expect(readFileSync(file).equals(saved)).toBe(true);
  });

  it('refuse a state that does not fit or is none, and leave it where it is', async () => {
    await using first = await serve('--save-on-exit', file);
    await first.line();
    await stop(first);
    await using other = await serve('--set', 'queues=1', '--restore', file);
    const refused = await other.ended;
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('attribute "queues"');
    expect(existsSync(file)).toBe(true);

    writeFileSync(file, 'no state');
    await using second = await serve('--restore', file, '--save-on-exit', file);
    expect((await second.ended).code).toBe(1);
    expect(statSync(file).size).toBe(8);
    rmSync(file);
    await using third = await serve('--restore', file);
    expect(await third.ended).toMatchObject({ code: 1, stderr: expect.stringContaining(file) as string });
  });
});
