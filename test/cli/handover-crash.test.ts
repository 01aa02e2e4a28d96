import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { VfioRegion } from '../../src/mdev/index.ts';
import { type Client, connect } from '../../src/vfio-user/index.ts';
import { type Running, start } from './support/run.ts';

const COMMAND = 4;
const endAt = pathToFileURL(join(import.meta.dirname, 'support/end-at.mjs')).href;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-crash-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const socketPath = (): string => join(folder, 'socket');

/** A server, whose process gets a signal from itself at a moment of its handover. */
async function serve(
  at?: string,
  signal = 'SIGKILL',
  handover = ['--handover', join(folder, 'handover')],
): Promise<Running> {
  const words = ['--type', 'dsa-cfg-v1', '--socket-path', socketPath(), ...handover];
  const environment =
    at === undefined ? {} : { NODE_OPTIONS: `--import=${endAt}`, MDEV_TEST_AT: at, MDEV_TEST_SIGNAL: signal };
  return await start('cli/main.js', ['serve', ...words], { environment });
}

/** Writes a register and reads it back: one process has the device, and it is the same. */
async function use(client: Client, value: 2 | 6): Promise<void> {
  await client.writeRegister(VfioRegion.config, COMMAND, 2, value);
  expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(value);
}

async function stop(server: Running): Promise<void> {
  server.child.kill('SIGTERM');
  expect((await server.ended).code).toBe(0);
}

/** Waits for what no event tells. */
async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await setTimeout(5);
}

/** Waits until a process has stopped itself. */
async function stopped(server: Running): Promise<void> {
  const status = `/proc/${String(server.child.pid)}/status`;
  await until(() => /^State:\s+T/m.test(readFileSync(status, 'utf8')));
}

describe('a successor that is killed', () => {
  it.each([
    ['heard offer'],
    ['say accept'],
    ['heard chunk'],
    ['heard end'],
    ['say ready'],
    ['heard go'],
    ['say begun'],
  ])('at "%s" leaves the client where it was, and the next one takes over', async (moment) => {
    await using old = await serve();
    await old.line();
    const client = await connect({ socketPath: socketPath() });
    await use(client, 2);
    await using successor = await serve(moment);
    expect((await successor.ended).code).toBe(null);
    expect(await old.told(/not handed over to process \d+: .*; this process goes on/)).not.toBe('');
    await use(client, 6);

    await using next = await serve();
    await next.line();
    expect((await old.ended).code).toBe(0);
    expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(6);
    await use(client, 2);
    await client.close();
    await stop(next);
  });

  it('when it has begun takes the device with it, as any server that crashes; the old one has ended', async () => {
    await using old = await serve();
    await old.line();
    const client = await connect({ socketPath: socketPath() });
    await using successor = await serve('said begun');
    expect((await successor.ended).code).toBe(null);
    expect(await old.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/handed over to/) as string });
    await expect(use(client, 6)).rejects.toThrow();
  });
});

describe('a server that is killed', () => {
  it.each([['heard hello'], ['heard accept'], ['say end'], ['heard ready'], ['say go']])(
    'at "%s" leaves nobody: its successor ends with 1, and the next server begins anew',
    async (moment) => {
      await using old = await serve(moment);
      await old.line();
      const client = await connect({ socketPath: socketPath() });
      await using successor = await serve();
      expect((await old.ended).code).toBe(null);
      const { code, stderr, stdout } = await successor.ended;
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      await expect(use(client, 6)).rejects.toThrow();

      await using next = await serve();
      await next.line();
      await use(await connect({ socketPath: socketPath() }), 6);
      await stop(next);
    },
  );

  it.each([['said go'], ['heard begun']])(
    'at "%s" is replaced: the client goes on with its successor',
    async (moment) => {
      await using old = await serve(moment);
      await old.line();
      const client = await connect({ socketPath: socketPath() });
      await use(client, 2);
      await using successor = await serve();
      expect((await old.ended).code).toBe(null);
      await successor.line();
      expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(2);
      await use(client, 6);
      await client.close();
      await stop(successor);
      expect(existsSync(socketPath())).toBe(false);
    },
  );
});

it('a server that is killed behind its refusal, before it goes on, is replaced all the same', async () => {
  await using old = await serve('said refuse');
  await old.line();
  const client = await connect({ socketPath: socketPath() });
  await use(client, 2);
  await using successor = await serve('heard go', 'SIGSTOP');
  expect((await old.ended).code).toBe(null);
  await stopped(successor);
  successor.child.kill('SIGCONT');
  await successor.line();
  expect(await client.readRegister(VfioRegion.config, COMMAND, 2)).toBe(2);
  await use(client, 6);
  await client.close();
  await stop(successor);
});

describe('a process that stands still', () => {
  it('before it has begun finds that the old one goes on when it wakes up', async () => {
    await using old = await serve();
    await old.line();
    const client = await connect({ socketPath: socketPath() });
    await use(client, 2);
    await using successor = await serve('heard go', 'SIGSTOP');
    const waiting = client.readRegister(VfioRegion.config, COMMAND, 2);
    expect(await old.told(/not handed over to process \d+: .*; this process goes on/)).toMatch(/did not say begun/);
    expect(await waiting).toBe(2);
    await use(client, 6);
    await stopped(successor);
    successor.child.kill('SIGCONT');
    const { code, stderr } = await successor.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/the other side refuses/);
    await use(client, 2);
    await client.close();
    await stop(old);
  });

  it('behind its word finds that it is done when it wakes up, and disturbs nobody', async () => {
    await using old = await serve('said go', 'SIGSTOP');
    await old.line();
    const client = await connect({ socketPath: socketPath() });
    await use(client, 2);
    await using successor = await serve();
    await successor.line();
    await use(client, 6);
    // It still listens at the path of successors; this one does when that is free.
    await stopped(old);
    old.child.kill('SIGCONT');
    expect((await old.ended).code).toBe(0);
    await use(client, 2);
    expect(existsSync(socketPath())).toBe(true);

    await until(() => existsSync(join(folder, 'handover')));
    await using next = await serve();
    await next.line();
    expect((await successor.ended).code).toBe(0);
    await use(client, 6);
    await client.close();
    await stop(next);
  });
});

describe('a successor that cannot listen for the next one', () => {
  it('serves its client all the same, says so once, and listens when it can', async () => {
    const directory = join(folder, 'run');
    mkdirSync(directory);
    const words = ['--handover', join(directory, 'handover')];
    await using old = await serve(undefined, undefined, words);
    await old.line();
    const client = await connect({ socketPath: socketPath() });
    await use(client, 2);
    await using successor = await serve('heard go', 'SIGSTOP', words);
    await stopped(successor);
    renameSync(directory, join(folder, 'away'));
    successor.child.kill('SIGCONT');
    await successor.line();
    expect((await old.ended).code).toBe(0);
    await use(client, 6);
    await successor.told(
      /cannot wait for a successor at --handover .*; this process serves all the same, and tries again/,
    );
    await use(client, 2);
    mkdirSync(directory);
    await successor.told(/a successor can come to /);

    await using next = await serve(undefined, undefined, words);
    await next.line();
    const { code, stderr } = await successor.ended;
    expect(code).toBe(0);
    expect(stderr.match(/cannot wait/g)).toHaveLength(1);
    await use(client, 6);
    await client.close();
    await stop(next);
  });
});
