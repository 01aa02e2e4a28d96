import { chmodSync, existsSync, linkSync, lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { closeFd, duplicateFd, memoryFile } from '../../../src/native/binding.ts';
import { channelOf } from '../../../src/vfio-user/client/client.ts';
import { connect, serve, VfioError } from '../../../src/vfio-user/index.ts';
import { connectSocket, socketPair } from '../../../src/vfio-user/native.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { errorReply, RawPeer } from '../support/raw-peer.ts';
import { Offset, TestDevice } from '../support/test-device.ts';

const { EBUSY } = constants.errno;

let directory = '';
let socketPath = '';
let device: TestDevice;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mdev-serve-'));
  socketPath = join(directory, 'device.sock');
  device = new TestDevice();
});

afterEach(() => {
  device[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** A server of Node's own at a path. */
async function foreignServer(path: string): Promise<NetServer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** The fd of a socket that listens at `socketPath`, like one that was inherited: nobody but its user accepts. */
async function listeningFd(): Promise<number> {
  const first = join(directory, 'first.sock');
  const server = await foreignServer(first);
  const handle: unknown = Reflect.get(server, '_handle');
  const fd = duplicateFd((handle as { fd: number }).fd);
  // The other name survives when the server that made the socket goes.
  linkSync(first, socketPath);
  await new Promise((resolve) => server.close(resolve));
  return fd;
}

describe('the path of a server', () => {
  it('is a socket for its owner only, and goes with the server', async () => {
    {
      await using server = serve(device, { socketPath });
      expect(lstatSync(socketPath).isSocket()).toBe(true);
      expect(statSync(socketPath).mode & 0o777).toBe(0o600);
      expect(server.client).toBeUndefined();
    }
    expect(existsSync(socketPath)).toBe(false);
  });

  it('is taken over when nobody answers at it', async () => {
    const stale = await foreignServer(socketPath);
    const kept = join(directory, 'kept.sock');
    // The file stays when the server dies: a second name for it survives the first.
    linkSync(socketPath, kept);
    await new Promise((resolve) => stale.close(resolve));
    expect(lstatSync(kept).isSocket()).toBe(true);
    await using server = serve(device, { socketPath: kept });
    const client = await connect({ socketPath: kept });
    expect(server.client).toContain('kept.sock');
    await client.close();
  });

  it('is refused when somebody answers at it', async () => {
    const live = await foreignServer(socketPath);
    expect(() => serve(device, { socketPath })).toThrow(
      expect.objectContaining({
        code: 'EADDRINUSE',
        message: expect.stringContaining(`${socketPath} is in use`) as string,
      }),
    );
    expect(existsSync(socketPath)).toBe(true);
    await new Promise((resolve) => live.close(resolve));
  });

  it('is refused when another server of ours is there, which goes on', async () => {
    await using first = serve(device, { socketPath });
    using other = new TestDevice();
    expect(() => serve(other, { socketPath })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    const client = await connect({ socketPath });
    expect(first.client).toBeDefined();
    await client.close();
  });

  it.each([
    ['a file', 'EADDRINUSE', 'is no socket', () => (writeFileSync(socketPath, 'data'), socketPath)],
    ['too long', 'ENAMETOOLONG', 'at most 107', () => join(directory, 'x'.repeat(108))],
    ['in no directory', 'ENOENT', 'directory does not exist', () => join(directory, 'missing', 'device.sock')],
    ['below a file', 'ENOTDIR', 'device.sock', () => (writeFileSync(socketPath, ''), join(socketPath, 'x'))],
    ['empty', 'EINVAL', 'is empty', () => ''],
    ['with a NUL', 'EINVAL', 'NUL', () => `${directory}/a\0b`],
  ])('is refused when it is %s', async (_what, code, message, makePath) => {
    const before = openFiles();
    const path = makePath();
    expect(() => serve(device, { socketPath: path })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
    await settle();
    expect(openFiles()).toBe(before);
  });

  it('may have 107 bytes', async () => {
    const path = join(directory, 'x'.repeat(107 - directory.length - 1));
    expect(path).toHaveLength(107);
    await using server = serve(device, { socketPath: path });
    const client = await connect({ socketPath: path });
    expect(server.client).toContain(path);
    await client.close();
  });

  it('is left alone when it belongs to somebody else by now', async () => {
    const server = serve(device, { socketPath });
    rmSync(socketPath);
    const successor = await foreignServer(socketPath);
    await server.close();
    expect(existsSync(socketPath)).toBe(true);
    await new Promise((resolve) => successor.close(resolve));
  });

  it('may be in a directory that cannot be listed', async () => {
    chmodSync(directory, 0o300);
    await using server = serve(device, { socketPath });
    expect(server.client).toBeUndefined();
    chmodSync(directory, 0o700);
  });
});

describe('an inherited descriptor', () => {
  it('that listens serves client after client, and its path stays', async () => {
    const fd = await listeningFd();
    const server = serve(device, { fd });
    for (let i = 0; i < 3; ++i) {
      const client = await connect({ socketPath });
      expect(server.client).toContain(`file descriptor ${fd}`);
      await client.close();
      await until(() => server.client === undefined, 'the end of the client');
    }
    await server.close();
    expect(existsSync(socketPath)).toBe(true);
  });

  it('that is connected serves that client, and the server ends with it', async () => {
    const [near, far] = socketPair();
    const server = serve(device, { fd: near });
    const client = await connect({ fd: far });
    expect(await client.readRegister(0, Offset.id, 4)).toBe(0x1234_5678);
    await client.close();
    await server.closed;
    expect(device.holder).toBeUndefined();
  });

  it('that is anything else is refused by name, and stays open', async () => {
    const file = memoryFile(4096);
    expect(() => serve(device, { fd: file.fd })).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        message: expect.stringContaining(`file descriptor ${file.fd}`) as string,
      }),
    );
    expect(duplicateFd(file.fd)).toBeGreaterThan(0);
    file.close();
    expect(() => serve(device, { fd: 9999 })).toThrow(expect.objectContaining({ code: 'EBADF' }));
    await settle();
  });
});

describe('clients', () => {
  it('come one after the other, and find the device as it was left', async () => {
    await using bench = new Bench();
    for (let i = 0; i < 20; ++i) {
      const client = await bench.client();
      expect(await client.readRegister(0, Offset.control, 4)).toBe(i);
      // Posted, with the connection closed right behind it: it counts all the same.
      await client.writeRegister(0, Offset.control, 4, i + 1, { posted: true });
      await until(() => channelOf(client).unsent === 0, 'sending');
      await client.close();
    }
    expect(bench.device.holds).toBe(20);
    await until(() => bench.disconnections.length === 20, 'the last end');
  });

  it('that come second are told EBUSY at once, and the first one does not notice', async () => {
    await using bench = new Bench();
    const first = await bench.client();
    const second = await bench.connect();
    await expect(second.negotiate()).rejects.toMatchObject({ code: 'EBUSY' });
    await second.closed;
    await expect(first.info()).resolves.toBeDefined();
    expect(bench.device.holds).toBe(1);
    expect(bench.refusals).toEqual(['version refused with EBUSY: another client holds the device']);
  });

  it('that are refused see nothing but a header', async () => {
    await using bench = new Bench();
    await bench.client();
    const peer = bench.peer();
    const reply = await peer.ask({ command: Command.version }, new Uint8Array(4));
    expect(reply).toEqual(errorReply(Command.version, EBUSY));
  });

  it('that come second and stay silent are closed after a while', async () => {
    await using bench = new Bench({ negotiationTimeout: 50 });
    await bench.client();
    const silent = bench.peer();
    await silent.closed;
    expect(bench.disconnections).toEqual([]);
  });

  it('that stay silent block nobody', async () => {
    await using bench = new Bench({ negotiationTimeout: 100_000 });
    const silent = Array.from({ length: 10 }, () => bench.peer());
    // One says half of a header.
    silent[0]?.send(new Uint8Array(7));
    await settle();
    const client = await bench.client();
    await expect(client.info()).resolves.toBeDefined();
    expect(silent.every(({ isOpen }) => isOpen)).toBe(true);
  });

  it('that wait in crowds are turned away, and cost nothing', async () => {
    await using bench = new Bench({ negotiationTimeout: 100_000 });
    const client = await bench.client();
    await settle();
    const before = openFiles();
    const crowd = Array.from({ length: 60 }, () => new RawPeer(connectSocket(bench.socketPath)));
    await until(() => crowd.filter(({ isOpen }) => !isOpen).length === 44, 'turning the crowd away');
    await expect(client.info()).resolves.toBeDefined();
    for (const peer of crowd) peer.close();
    await until(() => openFiles() === before, 'closing every descriptor');
  });

  it('that come while the one before hangs up are served when it is gone', async () => {
    await using bench = new Bench();
    for (let i = 0; i < 30; ++i) {
      const peer = new RawPeer(connectSocket(bench.socketPath));
      await peer.negotiate();
      // Many requests are still unread when it hangs up.
      for (let n = 0; n < 3000; ++n)
        peer.send(encodeMessage({ id: n, command: Command.deviceGetInfo }, words(16, 0, 0, 0)));
      await until(() => peer.channel.pending() === 0, 'sending');
      peer.close();
      const next = new RawPeer(connectSocket(bench.socketPath));
      await next.negotiate();
      next.close();
      await until(() => bench.server.client === undefined, 'the end of the client');
    }
  });

  it('are told why they cannot have the device', async () => {
    await using bench = new Bench();
    bench.device.refusal = 'EIO';
    const client = await bench.connect();
    await expect(client.negotiate()).rejects.toMatchObject({ code: 'EIO' });
    expect(bench.refusals).toEqual(['version refused with EIO: the device is held by EIO']);
    bench.device.refusal = undefined;
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('are closed when the device is taken away', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    bench.device.holder?.onRevoked?.('the instance is closed');
    await client.closed;
    expect(bench.disconnections).toEqual(['the instance is closed']);
  });

  it('are closed with the server, and requests under way are rejected', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const pending = client.info();
    await bench.server.close();
    await expect(pending).rejects.toBeInstanceOf(VfioError);
    await expect(client.info()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await bench.server.close();
  });

  it('wait in the socket while no more files can be opened', async () => {
    await using bench = new Bench();
    const failures: string[] = [];
    bench.server.on('acceptFailed', (code) => failures.push(code));
    const waiting: number[] = [];
    const taken: number[] = [];
    const anything = duplicateFd(0);
    try {
      waiting.push(connectSocket(bench.socketPath));
      for (;;) taken.push(duplicateFd(anything));
    } catch (error) {
      expect(error).toMatchObject({ code: 'EMFILE' });
    }
    await until(() => failures.length > 0, 'running out of files');
    expect(failures[0]).toBe('EMFILE');
    for (const fd of [...taken, anything]) closeFd(fd);
    const client = await connect({ fd: waiting[0] ?? -1 });
    expect(client.version).toBeDefined();
    await client.close();
  });
});
