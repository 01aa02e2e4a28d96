import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { VfioRegion } from '../../src/mdev/index.ts';
import { closeFd } from '../../src/native/binding.ts';
import { type Client, connect } from '../../src/vfio-user/index.ts';
import { connectSocket } from '../../src/vfio-user/native.ts';
import { type Outcome, type Running, start } from './support/run.ts';

const COMMAND = 4;
/** A user that nobody is. */
const NOBODY = 65_534;
/** The upper half of an address. */
const BAR0_HIGH = 0x14;
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

/** Connects to a socket as another user, and waits until the other side closes it. */
async function connectAs(user: number, path: string): Promise<void> {
  const script = `require('net').connect(process.argv[1]).on('close', () => process.exit(0)).resume()`;
  const child = spawn(process.execPath, ['-e', script, path], { uid: user, stdio: 'ignore' });
  await once(child, 'exit');
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
    ['another type', ['--type', 'dsa-1dwq-v1'], /it is of type "idxd-dsa-cfg-v1", expected idxd-dsa-1dwq-v1/],
    ['another number of queues', ['--set', 'queues=1'], /attribute "queues"/],
    ['another platform', ['--platform', 'enforceBusMaster=false'], /its platform's enforceBusMaster is "true"/],
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
    expect(stderr).toContain(`cannot take over from the server at --handover ${handover}: `);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(await first.told(/not handed over to process \d+: .*; this process goes on/)).toMatch(why);
    expect(await identity(client)).toBe(DSA);
    await client.close();
    await stop(first);
  });
});

describe('mdev serve --handover at a path that will not do', () => {
  async function refusedAt(path: string, ...words: readonly string[]): Promise<Outcome> {
    await using server = await serve('--handover', path, ...words);
    const ended = await server.ended;
    expect(ended.stdout).toBe('');
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(socketPath)).toBe(false);
    return ended;
  }

  it('ends with 2 when it is none, or that of clients', async () => {
    expect(await refusedAt('')).toMatchObject({ code: 2, stderr: expect.stringContaining('no path') as string });
    const same = await refusedAt(socketPath);
    expect(same.code).toBe(2);
    expect(same.stderr).toContain(`--handover and --socket-path are both ${socketPath}`);
  });

  it.each([
    [
      'is in no directory',
      () => join(folder, 'missing', 'handover'),
      /cannot wait for a successor at .*does not exist/,
    ],
    ['is below a file', () => join(file, 'handover'), /cannot take over from .*Not a directory/],
    ['is a file', () => file, /cannot wait for a successor at .* is no socket/],
    ['is too long', () => join(folder, 'x'.repeat(120)), /at most 107/],
  ])('ends with 1 when it %s, without telling of --socket-path', async (_what, path, why) => {
    writeFileSync(file, 'x');
    const { code, stderr } = await refusedAt(path());
    expect(code).toBe(1);
    expect(stderr).toMatch(why);
    expect(stderr).not.toContain('--socket-path');
  });

  it('ends with 1 when clients are served there', async () => {
    await using first = await serve();
    await first.line();
    await using second = await serve('--socket-path', join(folder, 'other'), '--handover', socketPath);
    const { code, stderr } = await second.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/is no server that can be replaced/)]);
    await stop(first);
  });

  it.runIf(process.getuid?.() === 0)('ends with 1 for another user, whom the old one does not answer', async () => {
    await using first = await serve('--handover', handover);
    await first.line();
    chmodSync(folder, 0o755);
    chmodSync(handover, 0o666);
    await connectAs(NOBODY, handover);
    await first.told(/not handed over to .*: the other side is user 65534; expected 0; this process goes on/);
    await stop(first);
  });
});

describe('two successors at once', () => {
  it('one takes over, the other one ends with 1 and says why', async () => {
    await using first = await serve('--handover', handover);
    const uuid = /serving (\S+)/.exec(await first.line())?.[1] ?? '';
    const client = await connect({ socketPath });
    // A successor that is there and says nothing.
    const idle = connectSocket(handover);
    await first.told(/wants to take over/);
    await using second = await serve('--handover', handover);
    expect(await second.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('another handover is under way') as string,
    });
    closeFd(idle);
    await first.told(/not handed over to process \d+: the other side ended before it said hello/);
    await using third = await serve('--handover', handover);
    expect(await third.line()).toContain(uuid);
    expect((await first.ended).code).toBe(0);
    expect(await identity(client)).toBe(DSA);
    await client.close();
    await stop(third);
  });
});

describe('mdev serve --save-on-exit and --restore', () => {
  it('keep what was answered, to the last write before the end', async () => {
    const words = ['--save-on-exit', file, '--restore', file];
    for (let round = 0; round < 3; round++) {
      await using server = await serve(...words);
      await server.line();
      const client = await connect({ socketPath });
      let answered = await client.readRegister(VfioRegion.config, BAR0_HIGH, 4);
      let sent = answered;
      const writing = (async () => {
        for (;;) {
          sent += 1;
          await client.writeRegister(VfioRegion.config, BAR0_HIGH, 4, sent);
          answered = sent;
          if (answered % 500 === 0) server.child.kill('SIGTERM');
        }
      })();
      await expect(writing).rejects.toThrow();
      expect((await server.ended).code).toBe(0);
      await using next = await serve('--restore', file);
      await next.line();
      const after = await connect({ socketPath });
      const kept = await after.readRegister(VfioRegion.config, BAR0_HIGH, 4);
      expect([answered, sent]).toContain(kept);
      await after.close();
      await stop(next);
    }
  });

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
    await using third = await serve('--restore', file, '--handover', join(folder, 'missing', 'handover'));
    expect(await third.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('--handover') as string });
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
