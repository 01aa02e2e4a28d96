import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { duplicateFd } from '../../../src/native/binding.ts';
import { type Client, connect, eventfd, memoryFile, serve } from '../../../src/vfio-user/index.ts';
import { createListener } from '../../../src/vfio-user/native.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { TestDevice } from '../support/test-device.ts';

/** The descriptor lingers for 20 seconds; nothing here may wait for that. */
const SOON_MS = 15_000;

/** Where it connects to, and a folder for its mark. */
type Place = Pick<Bench, 'directory' | 'socketPath'>;

/**
 * Starts a client that sends the server of `bench` a descriptor which does not let itself be closed, and waits until it has. With "unread" the whole
 * thread waits, so that the server reads nothing before everything is there.
 */
async function lingeringClient(bench: Place, how: string): Promise<AsyncDisposable> {
  const script = fileURLToPath(new URL('../support/lingering_client.py', import.meta.url));
  const mark = join(bench.directory, `sent-${how}`);
  const child = spawn('python3', [script, bench.socketPath, how, mark], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(child, 'close');
  const start = performance.now();
  while (!existsSync(mark)) {
    if (child.exitCode !== null || performance.now() - start > 60_000)
      throw new Error('the lingering client has failed');
    if (how === 'unread') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    else await turn();
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** How long `work` takes, in milliseconds. */
async function duration(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

describe('a descriptor that does not let itself be closed', () => {
  it.each(['map', 'urgent', 'first', 'unread'])('keeps nobody waiting but its sender (%s)', async (how) => {
    await using hostile = new Bench();
    await using neighbour = new Bench();
    const client = await neighbour.client();
    await settle();
    const before = openFiles();
    const taken = await duration(async () => {
      await using _holding = await lingeringClient(hostile, how);
      // The server has seen it by the time that it has served somebody else who came behind.
      if (how === 'first' || how === 'unread') await (await hostile.client()).close();
      await until(() => hostile.refusals.length > 0, 'refusing the descriptor');
      for (let i = 0; i < 100; ++i) await client.info();
      // Neither are descriptors of others kept open.
      const file = memoryFile(4096);
      await expect(client.dmaMap({ iova: 0n, size: 8192n, file, memory: new Uint8Array(8192) })).rejects.toMatchObject({
        code: 'EINVAL',
      });
      file.close();
    });
    expect(taken).toBeLessThan(SOON_MS);
    await until(() => hostile.server.client === undefined, 'the end of the client');
    await until(() => openFiles() === before, 'closing every descriptor');
  });

  it('does not keep a client waiting either', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mdev-lingering-'));
    const socketPath = join(directory, 'socket');
    const arrived = new Promise<number>((resolve, reject) => {
      const listener = createListener(socketPath, {
        connection: (fd) => {
          listener.close();
          resolve(fd);
        },
        failed: reject,
      });
    });
    const taken = await duration(async () => {
      // As a server it breaks the protocol by sending a descriptor at all.
      await using _holding = await lingeringClient({ directory, socketPath }, 'first');
      const client = await connect({ fd: await arrived }, { negotiate: false });
      const request = client.info();
      expect(await client.closed).toContain('1 file descriptors with deviceGetInfo');
      await expect(request).rejects.toMatchObject({ code: 'EPROTO' });
    });
    expect(taken).toBeLessThan(SOON_MS);
    rmSync(directory, { recursive: true });
  });

  it('lets the server be closed, and the path be used again', async () => {
    await using hostile = new Bench();
    const taken = await duration(async () => {
      await using _holding = await lingeringClient(hostile, 'map');
      await until(() => hostile.refusals.length > 0, 'refusing the descriptor');
      await hostile.server.close();
      using device = new TestDevice();
      await using _server = serve(device, { socketPath: hostile.socketPath });
      const client = await connect({ socketPath: hostile.socketPath });
      await client.close();
    });
    expect(taken).toBeLessThan(SOON_MS);
  });

  it('and many behind it make the server cut off who brings more, and wait with new clients', async () => {
    await using hostile = new Bench();
    const { core } = hostile.device;
    const codes: string[] = [];
    hostile.server.on('acceptFailed', (code) => codes.push(code));
    const event = eventfd();
    const idle = hostile.peer();
    await settle();
    const before = openFiles();
    let client: Client;
    let negotiating: Promise<unknown>;
    {
      await using _holding = await lingeringClient(hostile, 'map');
      await until(() => hostile.refusals.length > 0, 'refusing the descriptor');
      for (let i = 0; i < 520; ++i) core.closeForeignFd(duplicateFd(event.fd));
      expect(core.isBehindOnClosing()).toBe(true);
      // Who brings none is none the worse.
      expect(idle.isOpen).toBe(true);
      const other = hostile.peer();
      other.send(new Uint8Array(1), [event.fd]);
      expect(await other.closed).toMatch(/closed the connection/);
      await until(() => codes.includes('EBUSY'), 'waiting with new clients');
      client = await hostile.connect();
      let isAnswered = false;
      negotiating = client.negotiate().finally(() => (isAnswered = true));
      await settle();
      expect(isAnswered).toBe(false);
    }
    await negotiating;
    await expect(client.info()).resolves.toBeDefined();
    await client.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    event.close();
  });
});
