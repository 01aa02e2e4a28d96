import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { MigrationState } from '../../src/mdev/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import {
  encodeMigrationData,
  encodeMigrationDataRead,
  joined,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { errorReply, type RawPeer } from '../vfio-user/support/raw-peer.ts';
import { errno, TestMigration } from '../vfio-user/support/test-migration.ts';

const { EINVAL } = constants.errno;
const SAVING: readonly number[] = [MigrationState.preCopy, MigrationState.preCopyP2p, MigrationState.stopCopy];

/** A client of a device that can be migrated and is in `state`. */
async function client(
  bench: Bench,
  state: number,
  maxTransfer = 4,
  minor = 0,
): Promise<{ peer: RawPeer; device: TestMigration }> {
  const device = new TestMigration();
  device.state = state;
  bench.device.migration = device;
  const peer = bench.peer();
  const capabilities = { max_data_xfer_size: maxTransfer };
  await peer.ask({ command: Command.version }, writeVersion({ major: 0, minor, capabilities }));
  return { peer, device };
}

describe('MIG_DATA_READ', () => {
  const command = Command.migrationDataRead;

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('X7: gives data in a saving state only (state %i)', async (state) => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, state);
    device.data = Uint8Array.of(1, 2, 3, 4, 5, 6);
    const reply = await peer.ask({ command }, encodeMigrationDataRead(4));
    if (!SAVING.includes(state)) {
      expect(reply).toEqual(errorReply(command, EINVAL));
      return;
    }
    expect(reply?.body).toEqual(joined(words(12, 4), Uint8Array.of(1, 2, 3, 4)));
    // Fewer than asked for: there are no more.
    expect((await peer.ask({ command }, encodeMigrationDataRead(4)))?.body).toEqual(
      joined(words(10, 2), Uint8Array.of(5, 6)),
    );
    expect((await peer.ask({ command }, encodeMigrationDataRead(4)))?.body).toEqual(words(8, 0));
    expect((await peer.ask({ command }, encodeMigrationDataRead(0)))?.body).toEqual(words(8, 0));
  });

  it.each([
    ['X8: more than the client takes', encodeMigrationDataRead(5)],
    ['X10: 7 bytes', encodeMigrationDataRead(4).subarray(0, 7)],
    ['no body', new Uint8Array(0)],
    ['a reply that does not fit', encodeMigrationDataRead(4, 11)],
    ['the largest size', words(7, 0xffff_ffff)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.stopCopy);
    device.data = new Uint8Array(100);
    expect(await peer.ask({ command }, body)).toEqual(errorReply(command, EINVAL));
    expect(device.data).toHaveLength(100);
  });

  it('X9: the device’s error is passed on', async () => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.stopCopy);
    device.before = () => {
      throw errno('ENOSPC');
    };
    expect(await peer.ask({ command }, encodeMigrationDataRead(4))).toEqual(
      errorReply(command, constants.errno.ENOSPC),
    );
  });

  it('is padded for a client of the C implementation’s dialect, which is minor version 2', async () => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.stopCopy, 16, 2);
    device.data = Uint8Array.of(1, 2, 3);
    const reply = await peer.ask({ command }, encodeMigrationDataRead(16));
    expect(reply?.body).toEqual(encodeMigrationData(Uint8Array.of(1, 2, 3), 16));
    expect(reply?.body).toHaveLength(8 + 16);
  });

  it('moves a megabyte in one message', async () => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.stopCopy, 1 << 20);
    const data = Uint8Array.from({ length: 1 << 20 }, (_, index) => index * 31);
    device.data = data;
    const reply = await peer.ask({ command }, encodeMigrationDataRead(1 << 20));
    // An `expect` of two megabytes takes seconds.
    expect(Buffer.compare(reply?.body ?? new Uint8Array(0), encodeMigrationData(data))).toBe(0);
  });

  it('is bounded by the server’s own limit too', async () => {
    await using bench = new Bench();
    const { peer } = await client(bench, MigrationState.stopCopy, 1 << 30);
    expect(await peer.ask({ command }, encodeMigrationDataRead((1 << 20) + 1))).toEqual(errorReply(command, EINVAL));
  });

  it('is refused by a device that cannot be migrated', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    expect(await peer.ask({ command }, encodeMigrationDataRead(4))).toEqual(errorReply(command, EINVAL));
  });
});

describe('MIG_DATA_WRITE', () => {
  const command = Command.migrationDataWrite;
  const data = Uint8Array.of(9, 8, 7, 6);

  it('X11: delivers data while the device is resuming', async () => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.resuming);
    for (let n = 0; n < 3; ++n) {
      expect((await peer.ask({ command }, encodeMigrationData(data)))?.body).toHaveLength(0);
    }
    expect((await peer.ask({ command }, encodeMigrationData(new Uint8Array(0))))?.header.errno).toBe(0);
    expect(device.written).toEqual([...data, ...data, ...data]);
  });

  it.each([0, 1, 2, 3, 5, 6, 7])('X12: is refused in any other state (%i)', async (state) => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, state);
    expect(await peer.ask({ command }, encodeMigrationData(data))).toEqual(errorReply(command, EINVAL));
    expect(device.written).toEqual([]);
  });

  it.each([
    ['X13: more than may be transferred', encodeMigrationData(new Uint8Array(5))],
    ['X15: data that is not there', words(12, 4)],
    ['data that is not counted', joined(words(12, 3), data)],
    ['an argsz that is too small', joined(words(11, 4), data)],
    ['7 bytes', words(12, 4).subarray(0, 7)],
    ['the largest size', joined(words(0xffff_ffff, 0xffff_ffff), data)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.resuming);
    expect(await peer.ask({ command }, body)).toEqual(errorReply(command, EINVAL));
    expect(device.written).toEqual([]);
  });

  it('X14: the device’s error is passed on', async () => {
    await using bench = new Bench();
    const { peer, device } = await client(bench, MigrationState.resuming);
    device.before = () => {
      throw errno('ENOSPC');
    };
    expect(await peer.ask({ command }, encodeMigrationData(data))).toEqual(errorReply(command, constants.errno.ENOSPC));
  });
});
