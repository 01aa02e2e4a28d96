import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediate, setTimeout as timeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';

import { closeFd } from '../../../src/native/binding.ts';
import { connect } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, encodeRegionAccess, joined } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { LARGE_REGION, Offset } from '../support/test-device.ts';

/** A server of Node's own that sends back what it gets. */
async function echoServer(path: string): Promise<AsyncDisposable & { readonly path: string }> {
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(path);
  await once(server, 'listening');
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

async function throughSocket(path: string, text: string): Promise<string> {
  const socket = createConnection(path);
  socket.setEncoding('utf8');
  socket.end(text);
  let received = '';
  for await (const piece of socket) received += String(piece);
  return received;
}

describe('while a client sends without end', () => {
  it('a turn ends by time where hooks take long, not by the number of messages', async () => {
    await using busy = new Bench();
    const peer = busy.peer();
    await peer.negotiate();
    const messages = 300;
    const hooked = encodeMessage(
      { id: 1, command: Command.regionWrite, flags: MessageFlag.noReply },
      encodeRegionAccess({ offset: BigInt(Offset.hooked), region: 0, count: 4 }, new Uint8Array(4)),
    );
    let writes = 0;
    busy.device.onWrite = () => {
      writes += 1;
      const end = performance.now() + 2;
      while (performance.now() < end);
    };
    peer.send(joined(...Array.from({ length: messages }, () => hooked)));
    let most = 0;
    while (writes < messages) {
      const before = writes;
      await immediate();
      most = Math.max(most, writes - before);
    }
    // Two for a round, and a round each for what is left and for what has arrived.
    expect(most).toBeLessThanOrEqual(4);
  });

  it('timers, immediates, microtasks and other clients have their turn', async () => {
    await using busy = new Bench();
    await using quiet = new Bench();
    await using echo = await echoServer(join(busy.directory, 'echo.sock'));
    const peer = busy.peer();
    await peer.negotiate();
    const client = await quiet.client();
    const hooked = encodeMessage(
      { id: 1, command: Command.regionWrite, flags: MessageFlag.noReply },
      encodeRegionAccess({ offset: BigInt(Offset.hooked), region: 0, count: 4 }, new Uint8Array(4)),
    );
    const burst = joined(...Array.from({ length: 1500 }, () => hooked));
    let writes = 0;
    let microtasks = 0;
    let opened: Promise<string> | undefined;
    busy.device.onWrite = () => {
      writes += 1;
      // A socket that is opened in a hook is served by the same loop.
      opened ??= throughSocket(echo.path, 'hello');
      void Promise.resolve().then(() => (microtasks += 1));
    };
    const stop = new AbortController();
    const feeding = (async () => {
      while (!stop.signal.aborted) {
        if (peer.channel.pending() < 1 << 20) for (let i = 0; i < 8; ++i) peer.send(burst);
        await immediate();
      }
    })();
    await until(() => writes > 1000, 'the flood');
    const before = writes;
    for (let i = 0; i < 20; ++i) {
      await timeout(1);
      await immediate();
      await client.info();
    }
    expect(writes).toBeGreaterThan(before);
    expect(await opened).toBe('hello');
    // Promises that a hook resolves are run with its round.
    expect(microtasks).toBeGreaterThan(0);
    stop.abort();
    await feeding;
  });

  it('at most 256 messages, or 64 KiB of copying, come between two turns of the loop', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const perTurn: number[] = [];
    let count = 0;
    bench.device.onWrite = () => (count += 1);
    const hooked = encodeMessage(
      { id: 1, command: Command.regionWrite, flags: MessageFlag.noReply },
      encodeRegionAccess({ offset: BigInt(Offset.hooked), region: 0, count: 4 }, new Uint8Array(4)),
    );
    peer.send(joined(...Array.from({ length: 1500 }, () => hooked)));
    let total = 0;
    while (total < 1500) {
      await immediate();
      perTurn.push(count);
      total += count;
      count = 0;
    }
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(256);
    expect(perTurn.filter((each) => each > 0).length).toBeGreaterThanOrEqual(6);
    // One large read: immediates run between its parts.
    let immediates = 0;
    const stop = new AbortController();
    const counting = (async () => {
      while (!stop.signal.aborted) {
        await immediate();
        immediates += 1;
      }
    })();
    const request = encodeRegionAccess({ offset: 0n, region: LARGE_REGION, count: 1 << 20 });
    expect((await peer.ask({ command: Command.regionRead }, request))?.header.errno).toBe(0);
    stop.abort();
    await counting;
    expect(immediates).toBeGreaterThanOrEqual(15);
  });
});

describe('a Worker', () => {
  it('that is terminated while it serves closes its connections and takes their descriptors with it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mdev-worker-'));
    for (let round = 0; round < 3; ++round) {
      await settle();
      const before = openFiles();
      const [near, far] = socketPair();
      const [channel, other] = socketPair();
      const worker = new Worker(new URL('../support/serving-environment.mjs', import.meta.url), {
        workerData: { fd: near, channel, path: join(directory, 'device.sock') },
      });
      await once(worker, 'message');
      const client = await connect({ fd: far });
      expect(await client.readRegister(0, 0, 4)).toBe(0xffff_ffff);
      const pending = Promise.allSettled(Array.from({ length: 1000 }, () => client.readRegion(0, 0, 4096)));
      expect(await worker.terminate()).toBe(1);
      await pending;
      expect(await client.closed).toMatch(/closed the connection/);
      closeFd(other);
      await until(() => openFiles() <= before, 'closing every descriptor');
    }
    rmSync(directory, { recursive: true });
  });
});

describe('a process', () => {
  it.each([
    ['exit in a message', 0],
    ['exit in a reply', 0],
    ['fall off', 0],
    // It ends the connection, not the process.
    ['throw in a message', 0],
  ])('with open connections ends by "%s"', (ending, code) => {
    const directory = mkdtempSync(join(tmpdir(), 'mdev-process-'));
    const script = fileURLToPath(new URL('../support/ending-process.mjs', import.meta.url));
    const run = spawnSync(process.execPath, [script, ending, join(directory, 'device.sock')], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status: run.status, signal: run.signal }, run.stderr).toEqual({ status: code, signal: null });
    rmSync(directory, { recursive: true });
  });
});
