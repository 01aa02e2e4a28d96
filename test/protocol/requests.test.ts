import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { deferred } from '../../src/mdev/base/deferred.ts';
import { MigrationState } from '../../src/mdev/index.ts';
import { eventfd } from '../../src/vfio-user/index.ts';
import { Command, MessageFlag } from '../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, joined, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle } from '../vfio-user/support/bench.ts';
import { errorReply } from '../vfio-user/support/raw-peer.ts';
import { TestMigration } from '../vfio-user/support/test-migration.ts';

const { EINVAL } = constants.errno;
const LARGEST = 1_048_608;
const info = words(16, 0, 0, 0);

describe('any request', () => {
  it.each([0, 15])('R1: of %i bytes, less than its header, is refused and the connection goes on', async (size) => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    expect(await peer.ask({ command: Command.deviceGetInfo, size })).toEqual(errorReply(Command.deviceGetInfo, EINVAL));
    expect((await peer.ask({ command: Command.deviceGetInfo }, info))?.header.errno).toBe(0);
  });

  it.each([LARGEST + 1, 0xffff_ffff])('R2: of %i bytes is refused, and ends the connection', async (size) => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    expect(await peer.ask({ command: Command.regionWrite, size })).toEqual(errorReply(Command.regionWrite, EINVAL));
    await peer.closed;
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('may be as long as the largest message', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const command = Command.deviceReset;
    expect((await peer.ask({ command }, new Uint8Array(LARGEST - 16)))?.header.errno).toBe(0);
  });

  it.each([0, 11, 12, 14, 15, 17, 18, 19, 999, 0xffff])(
    'R4: with command %i is refused, body and all',
    async (command) => {
      await using bench = new Bench();
      const peer = bench.peer();
      await peer.negotiate();
      expect(await peer.ask({ command }, new Uint8Array(1))).toEqual(errorReply(command, EINVAL));
      expect(await peer.ask({ command }, new Uint8Array(100_000))).toEqual(errorReply(command, EINVAL));
      expect((await peer.ask({ command: Command.deviceGetInfo }, info))?.header.errno).toBe(0);
    },
  );

  it.each([1, 2, 15])('R3: of type %i is refused', async (type) => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const header = { command: Command.deviceSetIrqs, flags: type };
    expect(await peer.ask(header, new Uint8Array(20))).toEqual(errorReply(Command.deviceSetIrqs, EINVAL));
    expect((await peer.ask({ command: Command.deviceGetInfo }, info))?.header.errno).toBe(0);
  });

  it('may have unknown flags, and an errno that means nothing', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const flags = 0xffff_ff40 | MessageFlag.error;
    const reply = await peer.ask({ command: Command.deviceGetInfo, flags: flags >>> 0, errno: 5 }, info);
    expect(reply?.header).toMatchObject({ flags: 1, errno: 0 });
  });

  it('keeps its id, whatever it is, and its place', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const ids = [0, 0xffff, 5, 5, 5, 1];
    peer.send(
      joined(
        ...ids.map((id, index) =>
          index % 2 === 0
            ? encodeMessage({ id, command: Command.deviceGetInfo }, info)
            : encodeMessage({ id, command: 999 }),
        ),
      ),
    );
    for (const [index, id] of ids.entries()) {
      expect((await peer.next())?.header).toMatchObject({ id, errno: index % 2 === 0 ? 0 : EINVAL });
    }
  });

  it('that wants no reply has none, whatever becomes of it', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    for (let command = 1; command < 20; ++command) {
      for (const body of [new Uint8Array(0), info, new Uint8Array(32)]) {
        peer.send(encodeMessage({ id: 1, command, flags: MessageFlag.noReply }, body));
      }
    }
    peer.send(encodeMessage({ id: 1, command: Command.deviceGetInfo, size: 3, flags: MessageFlag.noReply }));
    const reply = await peer.ask({ id: 99, command: Command.deviceGetInfo }, info);
    expect(reply?.header).toMatchObject({ id: 99, errno: 0 });
    expect(peer.received).toEqual([]);
    expect(bench.device.resets).toBe(3);
  });

  it('that cannot carry file descriptors is refused with them, and they are closed', async () => {
    await using bench = new Bench();
    const event = eventfd();
    const peer = bench.peer();
    await peer.negotiate();
    await settle();
    const before = openFiles();
    for (const command of [Command.deviceGetInfo, Command.regionRead, Command.dmaUnmap, Command.deviceReset, 999]) {
      const fds = Array.from({ length: 1 + (command % 30) }, () => event.fd);
      expect(await peer.ask({ command }, info, fds)).toEqual(errorReply(command, EINVAL));
    }
    await settle();
    expect(openFiles()).toBe(before);
    expect(bench.device.resets).toBe(0);
    event.close();
  });

  it('that is answered later is answered though a message behind it breaks the protocol', async () => {
    await using bench = new Bench();
    const migration = new TestMigration();
    bench.device.migration = migration;
    const quiesced = deferred();
    migration.before = () => quiesced.promise;
    const peer = bench.peer();
    await peer.negotiate();
    const stop = words(16, 2 | (1 << 17), MigrationState.stop, 0);
    const getInfo = (id: number): Uint8Array => encodeMessage({ id, command: Command.deviceGetInfo }, info);
    const stray = encodeMessage({ id: 3, command: Command.dmaWrite, flags: MessageFlag.reply }, new Uint8Array(16));
    peer.send(joined(encodeMessage({ id: 1, command: Command.deviceFeature }, stop), getInfo(2), stray, getInfo(4)));
    await settle();
    expect(peer.received).toEqual([]);
    quiesced.resolve();
    await peer.closed;
    expect(peer.received.map(({ header }) => header)).toMatchObject([
      { id: 1, flags: MessageFlag.reply, errno: 0 },
      { id: 2, flags: MessageFlag.reply, errno: 0 },
    ]);
    expect(migration.state).toBe(MigrationState.stop);
  });

  it('that is refused is told once for each command', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    for (let i = 0; i < 20; ++i) {
      await expect(client.regionInfo(9)).rejects.toMatchObject({ code: 'EINVAL' });
      await expect(client.irqInfo(9)).rejects.toMatchObject({ code: 'EINVAL' });
    }
    expect(bench.refusals).toEqual(['deviceGetRegionInfo refused with EINVAL', 'deviceGetIrqInfo refused with EINVAL']);
    expect(bench.device.core.statistics().refused).toBe(40);
  });
});
