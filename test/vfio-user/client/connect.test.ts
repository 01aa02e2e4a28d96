import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connect } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { RawPeer } from '../support/raw-peer.ts';

describe('the signal of connect', () => {
  let folder = '';
  let silent: Server;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mdev-connect-'));
    silent = createServer((socket) => {
      socket.on('error', () => undefined);
    }).listen(join(folder, 'socket'));
    await once(silent, 'listening');
  });
  afterEach(() => {
    silent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('ends the wait for a server that accepts and says nothing, which sees the end', async () => {
    const stop = new AbortController();
    const accepted = once(silent, 'connection');
    const connecting = connect({ socketPath: join(folder, 'socket') }, { signal: stop.signal });
    const [socket] = (await accepted) as [NodeJS.ReadableStream];
    const ended = once(socket, 'end');
    socket.resume();
    const reason = new Error('enough');
    stop.abort(reason);
    await expect(connecting).rejects.toBe(reason);
    await ended;
  });

  it('that has come already connects nowhere, and closes the descriptor that it was given', async () => {
    const reason = new Error('before');
    const signal = AbortSignal.abort(reason);
    let connections = 0;
    silent.on('connection', () => (connections += 1));
    await expect(connect({ socketPath: join(folder, 'socket') }, { signal })).rejects.toBe(reason);
    await settle();
    expect(connections).toBe(0);
    const before = openFiles();
    for (const negotiate of [true, false]) {
      const [near, far] = socketPair();
      const server = new RawPeer(far);
      await expect(connect({ fd: near }, { signal, negotiate })).rejects.toBe(reason);
      await server.closed;
    }
    await until(() => openFiles() === before, 'closing the descriptors');
  });

  it('says nothing to a client that is there', async () => {
    await using bench = new Bench();
    const stop = new AbortController();
    const client = await connect({ socketPath: bench.socketPath }, { signal: stop.signal });
    stop.abort();
    await settle();
    expect(client.isOpen).toBe(true);
    await expect(client.info()).resolves.toBeDefined();
    await client.close();
  });

  it('leaves what else goes wrong as it is', async () => {
    const { signal } = new AbortController();
    await expect(connect({ socketPath: join(folder, 'nobody') }, { signal })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
