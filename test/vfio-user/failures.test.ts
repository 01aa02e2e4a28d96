import { openSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { createDeviceCore, duplicateFd, memoryFile } from '../../src/native/binding.ts';
import { connectSocket, createChannel, createConnection, socketPair } from '../../src/vfio-user/native.ts';
import { Command } from '../../src/vfio-user/protocol.ts';
import { encodeRegionInfo } from '../../src/vfio-user/structures/index.ts';
import { Bench, openFiles, settle, until } from './support/bench.ts';
import { errorReply, RawPeer } from './support/raw-peer.ts';

const { EINVAL, EIO } = constants.errno;

const onPurpose = new Error('on purpose');
const regionInfo = encodeRegionInfo({ argsz: 32, flags: 0, index: 0, capabilityOffset: 0, size: 0, offset: 0 });

/** What the server of a bench reported. */
function failuresOf(bench: Bench): unknown[] {
  const failures: unknown[] = [];
  bench.server.on('failed', (_client, error) => failures.push(error));
  return failures;
}

function throwOnPurpose(): never {
  throw onPurpose;
}

describe('JavaScript that throws while a client is served ends that connection, and nothing else', () => {
  it('in a message', async () => {
    await using bench = new Bench();
    await using neighbour = new Bench();
    const other = await neighbour.client();
    const failures = failuresOf(bench);
    const peer = bench.peer();
    await peer.negotiate();
    const { regions } = bench.device;
    Object.defineProperty(bench.device, 'regions', { configurable: true, get: throwOnPurpose });
    expect(await peer.ask({ command: Command.deviceGetRegionInfo }, regionInfo)).toEqual(
      errorReply(Command.deviceGetRegionInfo, EIO),
    );
    await peer.closed;
    await until(() => bench.disconnections.length > 0, 'the end of the client');
    expect(bench.disconnections).toEqual(['the server failed to handle a message']);
    expect(failures).toEqual([onPurpose]);
    await expect(other.info()).resolves.toBeDefined();
    Object.defineProperty(bench.device, 'regions', { value: regions });
    // The device can be held again.
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('in a listener that hears of a client, of a refusal, or of the end', async () => {
    for (const [event, count] of [
      ['connected', 1],
      ['refused', 1],
      ['disconnected', 1],
    ] as const) {
      await using bench = new Bench();
      const failures = failuresOf(bench);
      bench.server.once(event, throwOnPurpose);
      const peer = bench.peer();
      peer.send(new Uint8Array(0));
      if (event === 'connected') await expect(peer.negotiate()).rejects.toThrow('the version was refused');
      else await peer.negotiate();
      if (event === 'refused') {
        expect(await peer.ask({ command: 999 })).toEqual(errorReply(999, EINVAL));
      } else if (event === 'disconnected') {
        peer.close();
      }
      await peer.closed;
      await until(() => failures.length === count && bench.server.client === undefined, 'reporting it');
      expect(failures).toEqual([onPurpose]);
      const client = await bench.client();
      await expect(client.info()).resolves.toBeDefined();
    }
  });

  it('in the device that is let go of', async () => {
    await using bench = new Bench();
    const failures = failuresOf(bench);
    const attach = bench.device.attach.bind(bench.device);
    bench.device.attach = (holder) => ({
      ...attach(holder),
      detach: () => {
        bench.device.holder = undefined;
        throw onPurpose;
      },
    });
    const peer = bench.peer();
    await peer.negotiate();
    peer.close();
    await until(() => failures.length > 0, 'reporting it');
    expect(failures).toEqual([onPurpose]);
    expect(bench.server.client).toBeUndefined();
    bench.device.attach = attach;
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('in the listener that hears of failures, too', async () => {
    await using bench = new Bench();
    bench.server.on('refused', throwOnPurpose);
    bench.server.on('failed', throwOnPurpose);
    const peer = bench.peer();
    await peer.negotiate();
    expect(await peer.ask({ command: 999 })).toEqual(errorReply(999, EINVAL));
    await peer.closed;
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });
});

describe('whoever makes a connection', () => {
  const handlers = {
    message: () => EINVAL,
    refused: () => undefined,
    closed: () => undefined,
    failed: () => undefined,
  };

  it('gives its descriptor away, also when it is none that can be used', () => {
    const core = createDeviceCore();
    const isClosed = (fd: number): void => {
      // Nobody else opens any here: the number stays free.
      expect(openFiles()).toBeGreaterThan(0);
      expect(() => duplicateFd(fd)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    };
    const makers = [(fd: number) => createConnection(core, fd, handlers), (fd: number) => createChannel(fd, handlers)];
    const file = memoryFile(4096);
    for (const make of makers) {
      for (const open of [() => openSync('/dev/null', 'r'), () => duplicateFd(file.fd)]) {
        const fd = open();
        expect(() => make(fd)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
        isClosed(fd);
        expect(() => make(fd)).toThrow(expect.objectContaining({ code: 'EBADF' }));
      }
    }
    file.close();
    for (const bad of [-1, 1.5, 2 ** 40]) expect(() => createConnection(core, bad, handlers)).toThrow(RangeError);
    // What is wrong with the other arguments makes no difference.
    const [near, far] = socketPair();
    expect(() => createConnection(core, near, {} as typeof handlers)).toThrow(TypeError);
    isClosed(near);
    core.close();
    expect(() => createConnection(core, far, handlers)).toThrow(TypeError);
    isClosed(far);
  });

  it('and fails has closed it once, and the server goes on', async () => {
    await using bench = new Bench();
    await settle();
    const before = openFiles();
    bench.device.core.close();
    for (let i = 0; i < 20; ++i) {
      const peer = new RawPeer(connectSocket(bench.socketPath));
      await peer.closed;
    }
    expect(openFiles()).toBe(before);
  });
});
