import { writeSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { MigrationState } from '../../src/mdev/index.ts';
import { signalFd } from '../../src/native/binding.ts';
import { connect } from '../../src/vfio-user/index.ts';
import { DeviceFeature } from '../../src/vfio-user/protocol/constants.ts';
import { decodeMigrationState, encodeMigrationState, joined } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from './support/bench.ts';
import { Offset } from './support/test-device.ts';
import { TestMigration } from './support/test-migration.ts';

describe('our client with our server', () => {
  it('signals a register by eventfd', async () => {
    await using bench = new Bench();
    const written: number[] = [];
    bench.device.onWrite = (value) => written.push(value);
    bench.device.ioEventFds = [
      { region: 0, offset: Offset.hooked, size: 4, datamatch: 7n },
      { region: 0, offset: Offset.hooked, size: 4, datamatch: 9n },
    ];
    const client = await bench.client();
    await settle();
    const before = openFiles();
    {
      using bells = await client.regionEventFds(0);
      expect(bells.entries).toMatchObject([
        { offset: Offset.hooked, size: 4, datamatch: 7n },
        { offset: Offset.hooked, size: 4, datamatch: 9n },
      ]);
      for (const { fd = -1 } of bells.entries.toReversed()) signalFd(fd);
      await until(() => written.length === 2, 'the writes');
      expect(written.toSorted()).toEqual([7, 9]);
    }
    // The server keeps its own.
    await until(() => openFiles() === before + 2, 'closing the client’s');
    expect((await client.regionEventFds(1)).entries).toEqual([]);
  });

  it('has done what was signalled before a device stops, and lets it stop whatever is signalled', async () => {
    await using bench = new Bench();
    const migration = new TestMigration();
    bench.device.migration = migration;
    let writes = 0;
    let writesWhenStopping = 0;
    bench.device.onWrite = () => (writes += 1);
    migration.before = () => {
      writesWhenStopping = writes;
    };
    bench.device.ioEventFds = [
      { region: 0, offset: Offset.hooked, size: 4, datamatch: 7n },
      { region: 0, offset: Offset.hooked, size: 4, datamatch: 9n },
    ];
    const client = await bench.client();
    using bells = await client.regionEventFds(0);
    const signal = (counts: readonly bigint[]): void => {
      for (const [index, { fd = -1 }] of bells.entries.entries()) {
        writeSync(fd, new Uint8Array(BigUint64Array.of(counts[index] ?? 0n).buffer));
      }
    };
    signal([1000n, 500n]);
    await client.setMigrationState(MigrationState.stop);
    expect([writesWhenStopping, writes]).toEqual([1500, 1500]);
    await client.setMigrationState(MigrationState.running);
    // More than any guest leaves behind: the others get a turn.
    signal([1n << 40n, 1n]);
    await client.setMigrationState(MigrationState.stop);
    expect([migration.state, writes < 100_000]).toEqual([MigrationState.stop, true]);
  });

  it('writes several registers in one message', async () => {
    await using bench = new Bench({ writeMultiple: true });
    const client = await bench.client();
    const word = (value: number): Uint8Array => Uint8Array.of(value, 0, 0, 0);
    const writes = [
      { region: 0, offset: Offset.control, data: word(1) },
      { region: 0, offset: Offset.scratch, data: word(2) },
    ];
    expect(await client.writeRegions(writes)).toBe(2);
    expect(await client.readRegister(0, Offset.control, 4)).toBe(1);
    expect(await client.readRegister(0, Offset.scratch, 4)).toBe(2);
    // One that no region could take: none of them is done.
    const wrong = [
      { region: 0, offset: Offset.control, data: word(3) },
      { region: 5, offset: 0, data: word(4) },
    ];
    await expect(client.writeRegions(wrong)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(await client.readRegister(0, Offset.control, 4)).toBe(1);
    await client.writeRegions([{ region: 0, offset: Offset.control, data: word(5) }], { posted: true });
    expect(await client.readRegister(0, Offset.control, 4)).toBe(5);
  });

  it('takes memory requests on the twin socket', async () => {
    await using bench = new Bench();
    const offer = { capabilities: { max_msg_fds: 1, twin_socket: { supported: true } } };
    const client = await connect({ socketPath: bench.socketPath }, { offer });
    expect(client.version?.capabilities.twin_socket).toEqual({ supported: true, fd_index: 0 });
    const memory = new Uint8Array(0x1000).fill(6);
    await client.dmaMap({ iova: 0x1000n, memory });
    const into = new Uint8Array(8);
    const errno = await new Promise<number>((resolve) => {
      expect(bench.device.core.dmaTransfer(false, 0x1004n, into, resolve)).toBe(0);
    });
    expect([errno, ...into]).toEqual([0, ...new Array<number>(8).fill(6)]);
    await client.close();
  });

  it('moves a device’s state', async () => {
    await using bench = new Bench();
    const migration = new TestMigration();
    bench.device.migration = migration;
    const client = await bench.client();
    const to = (state: number): Promise<Uint8Array> =>
      client.feature({
        index: DeviceFeature.migrationDeviceState,
        set: true,
        data: encodeMigrationState(state),
      });
    const state = await client.feature({ index: DeviceFeature.migrationDeviceState, get: true, replySize: 8 });
    expect(decodeMigrationState(state)).toBe(MigrationState.running);
    await expect(client.readMigrationData(16)).rejects.toMatchObject({ code: 'EINVAL' });
    await to(MigrationState.stop);
    await to(MigrationState.stopCopy);
    migration.data = Uint8Array.from({ length: 3000 }, (_, index) => index & 0xff);
    const stream = migration.data;
    const pieces = [await client.readMigrationData(2048), await client.readMigrationData(2048)];
    expect(pieces.map(({ length }) => length)).toEqual([2048, 952]);
    expect(joined(...pieces)).toEqual(stream);
    expect(await client.readMigrationData(2048)).toEqual(new Uint8Array(0));
    await to(MigrationState.stop);
    await to(MigrationState.resuming);
    await client.writeMigrationData(stream);
    expect(Uint8Array.from(migration.written)).toEqual(stream);
    await to(MigrationState.stop);
    await to(MigrationState.running);
    await expect(client.writeMigrationData(stream)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});
