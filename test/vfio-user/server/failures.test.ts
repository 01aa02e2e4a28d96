import { openSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { MigrationState } from '../../../src/mdev/index.ts';
import { createDeviceCore, duplicateFd, memoryFile } from '../../../src/native/binding.ts';
import { connectSocket, createChannel, createConnection, socketPair } from '../../../src/vfio-user/native.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMigrationDataRead, encodeRegionInfo } from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { fillFiles } from '../support/fill-files.ts';
import { errorReply, type Received } from '../support/raw-peer.ts';
import { TestMigration } from '../support/test-migration.ts';

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

  it('whatever `code` it carries: an errno of something else is no answer', async () => {
    const full = Object.assign(new Error('the log is full'), { code: 'ENOSPC' });
    const fail = (): never => {
      throw full;
    };
    for (const where of ['connected', 'regions'] as const) {
      await using bench = new Bench();
      const failures = failuresOf(bench);
      if (where === 'connected') bench.server.once('connected', fail);
      else Object.defineProperty(bench.device, 'regions', { configurable: true, get: fail });
      const [command, body] =
        where === 'connected'
          ? [Command.version, writeVersion({ major: 0, minor: 0, capabilities: {} })]
          : [Command.deviceGetRegionInfo, regionInfo];
      const peer = bench.peer();
      if (where === 'regions') await peer.negotiate();
      expect(await peer.ask({ command }, body), where).toEqual(errorReply(command, EIO));
      await peer.closed;
      await until(() => bench.disconnections.length > 0, 'the end of the client');
      expect(failures).toEqual([full]);
      expect(bench.device.holder).toBeUndefined();
    }
  });

  it('in the listener that hears of a failed answer that came late', async () => {
    await using bench = new Bench();
    const failures = failuresOf(bench);
    bench.server.on('failed', throwOnPurpose);
    const migration = new TestMigration();
    migration.state = MigrationState.stopCopy;
    const late = new Error('late');
    migration.before = () => Promise.reject(late);
    bench.device.migration = migration;
    const peer = bench.peer();
    await peer.negotiate();
    const command = Command.migrationDataRead;
    // An unhandled rejection would fail the test as well.
    expect(await peer.ask({ command }, encodeMigrationDataRead(16))).toEqual(errorReply(command, EIO));
    await peer.closed;
    await until(() => bench.device.holder === undefined, 'the end of the hold');
    expect(failures).toEqual([late]);
    await expect((await bench.client()).info()).resolves.toBeDefined();
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

describe('a client that is refused holds nothing', () => {
  const withTwin = writeVersion({ major: 0, minor: 0, capabilities: { twin_socket: { supported: true } } });

  it('when there are too few file descriptors for a twin socket, however few', async () => {
    await using bench = new Bench({ negotiationTimeout: 600_000 });
    const { EMFILE } = constants.errno;
    for (let room = 0; room < 4; ++room) {
      const peer = bench.peer();
      await settle();
      openFiles();
      const ends = bench.disconnections.length + bench.refusals.length;
      let answer: Received | undefined;
      {
        using _files = fillFiles(room);
        answer = await peer.ask({ command: Command.version }, withTwin);
        await peer.closed;
      }
      expect(answer?.header.errno, `room for ${room}`).toBe(EMFILE);
      await until(() => bench.disconnections.length + bench.refusals.length > ends, 'the end of the client');
      expect(bench.server.client).toBeUndefined();
      expect(bench.device.holder).toBeUndefined();
    }
    expect(bench.failures).toEqual([]);
    const peer = bench.peer();
    expect(await peer.ask({ command: Command.version }, withTwin)).toMatchObject({ header: { errno: 0 } });
  });

  it('when whoever hears that it comes ends its connection', async () => {
    await using bench = new Bench();
    const attach = bench.device.attach.bind(bench.device);
    bench.device.attach = (holder) => {
      const hold = attach(holder);
      holder.onRevoked?.('taken away');
      return hold;
    };
    const peer = bench.peer();
    await expect(peer.negotiate()).rejects.toThrow();
    expect(await peer.closed).toBeDefined();
    expect(bench.server.client).toBeUndefined();
    expect(bench.device.holder).toBeUndefined();
    bench.device.attach = attach;
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

  it('and fails has closed it once; the server of a device that is closed says so, and ends', async () => {
    await using bench = new Bench();
    await settle();
    const before = openFiles();
    bench.device.core.close();
    // The second one is in the queue of a socket that closes.
    const peers = [bench.peer(), bench.peer()];
    await bench.server.closed;
    for (const peer of peers) await peer.closed;
    expect(bench.failures).toEqual([expect.any(TypeError)]);
    expect(() => connectSocket(bench.socketPath)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(openFiles()).toBeLessThanOrEqual(before);
  });
});
