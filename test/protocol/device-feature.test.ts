import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { MigrationFlag, MigrationState } from '../../src/mdev/index.ts';
import { Command, DeviceFeature, DeviceFeatureFlag } from '../../src/vfio-user/protocol/constants.ts';
import {
  encodeDeviceFeature,
  encodeMessage,
  joined,
  longs,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench, until } from '../vfio-user/support/bench.ts';
import { errorReply, type RawPeer } from '../vfio-user/support/raw-peer.ts';
import { errno, TestMigration } from '../vfio-user/support/test-migration.ts';

const { EINVAL, EIO, ENOTTY } = constants.errno;
const { get, set, probe } = DeviceFeatureFlag;
const { migration, migrationDeviceState: state } = DeviceFeature;

const refused = undefined;
const no = Array<undefined>(8).fill(refused);
type Paths = readonly (readonly (readonly number[] | undefined)[])[];
/**
 * The states that are passed from a row to a column, by the numbers of `<linux/vfio.h>`: 0 ERROR, 1 STOP, 2 RUNNING, 3 STOP_COPY, 4 RESUMING, 5 RUNNING_P2P, 6 PRE_COPY,
 * 7 PRE_COPY_P2P. As the comment in that header has them, written down and not computed.
 */
const everything: Paths = [
  no,
  [refused, [], [5, 2], [3], [4], [5], [5, 2, 6], [5, 7]],
  [refused, [5, 1], [], [5, 1, 3], [5, 1, 4], [5], [6], [5, 7]],
  [refused, [1], [1, 5, 2], [], [1, 4], [1, 5], refused, refused],
  [refused, [1], [1, 5, 2], [1, 3], [], [1, 5], [1, 5, 2, 6], [1, 5, 7]],
  [refused, [1], [2], [1, 3], [1, 4], [], [2, 6], [7]],
  [refused, [2, 5, 1], [2], [7, 3], [2, 5, 1, 4], [2, 5], [], [7]],
  [refused, [5, 1], [5, 2], [3], [5, 1, 4], [5], [6], []],
];
/** The same without the peer-to-peer states, which are passed over. */
const withoutPeers: Paths = [
  no,
  [refused, [], [2], [3], [4], refused, [2, 6], refused],
  [refused, [1], [], [1, 3], [1, 4], refused, [6], refused],
  [refused, [1], [1, 2], [], [1, 4], refused, refused, refused],
  [refused, [1], [1, 2], [1, 3], [], refused, [1, 2, 6], refused],
  no,
  [refused, [2, 1], [2], [3], [2, 1, 4], refused, [], refused],
  no,
];
const { stopCopy, preCopy, p2p } = MigrationFlag;
const paths = {
  'with everything': { flags: stopCopy | preCopy | p2p, table: everything },
  'without peer-to-peer': { flags: stopCopy | preCopy, table: withoutPeers },
} as const;

/** A client of a device that can be migrated. */
async function migratable(
  bench: Bench,
  device = new TestMigration(),
): Promise<{ peer: RawPeer; device: TestMigration }> {
  bench.device.migration = device;
  const peer = bench.peer();
  await peer.negotiate();
  return { peer, device };
}

function setState(peer: RawPeer, to: number): Promise<number | undefined> {
  const body = encodeDeviceFeature(state | set, words(to, 0));
  return peer.ask({ command: Command.deviceFeature }, body).then((reply) => reply?.header.errno);
}

describe('DEVICE_FEATURE', () => {
  it('X16: GET MIGRATION tells the flags', async () => {
    await using bench = new Bench();
    const { peer } = await migratable(bench);
    const reply = await peer.ask(
      { command: Command.deviceFeature },
      encodeDeviceFeature(migration | get, undefined, 16),
    );
    expect(reply?.body).toEqual(encodeDeviceFeature(migration | get, longs(5n)));
  });

  it.each([
    ['X17: 7 bytes', encodeDeviceFeature(migration | get).subarray(0, 7)],
    ['X18: SET MIGRATION', encodeDeviceFeature(migration | set, longs(0n))],
    ['X19: PROBE with argsz 2', encodeDeviceFeature(migration | probe, undefined, 2)],
    ['X20: GET MIGRATION with argsz 8', encodeDeviceFeature(migration | get, undefined, 8)],
    ['GET MIGRATION with argsz 15', encodeDeviceFeature(migration | get, undefined, 15)],
    ['GET of the state with argsz 15', encodeDeviceFeature(state | get, undefined, 15)],
    ['X22: SET of the state with argsz 8', encodeDeviceFeature(state | set, words(1, 0), 8)],
    ['X24: PROBE, GET and SET MIGRATION', encodeDeviceFeature(migration | probe | get | set)],
    ['PROBE and SET MIGRATION', encodeDeviceFeature(migration | probe | set)],
    ['PROBE of what is longer than its reply may be', encodeDeviceFeature(migration | probe, new Uint8Array(8), 15)],
    ['GET and SET', encodeDeviceFeature(state | get | set, words(1, 0))],
    ['nothing to do', encodeDeviceFeature(state, words(1, 0))],
    ['an unknown flag', encodeDeviceFeature(state | get | 0x8_0000, words(1, 0))],
    ['the highest flag', encodeDeviceFeature((state | get | 0x8000_0000) >>> 0, words(1, 0))],
    ['SET of a state that is not there', encodeDeviceFeature(state | set)],
    ['half a state', encodeDeviceFeature(state | set, new Uint8Array(7))],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    expect(await peer.ask({ command: Command.deviceFeature }, body)).toEqual(errorReply(Command.deviceFeature, EINVAL));
    expect(device.state).toBe(MigrationState.running);
  });

  it.each([migration | probe, migration | probe | get, state | probe | get | set, state | probe])(
    'X23: PROBE is answered with the request (%i)',
    async (flags) => {
      await using bench = new Bench();
      const { peer } = await migratable(bench);
      for (const data of [new Uint8Array(0), words(7, 7)]) {
        const body = encodeDeviceFeature(flags, data, 64);
        expect((await peer.ask({ command: Command.deviceFeature }, body))?.body).toEqual(body);
      }
    },
  );

  it.each([0, 3, 4, 5, 10, 11, 13, 0xffff])('tells of feature %i that there is none', async (feature) => {
    await using bench = new Bench();
    const { peer } = await migratable(bench);
    for (const flags of [probe, get, set, probe | get | set]) {
      const reply = await peer.ask(
        { command: Command.deviceFeature },
        encodeDeviceFeature(feature | flags, new Uint8Array(64)),
      );
      // A malformed request is told first.
      expect(reply).toEqual(errorReply(Command.deviceFeature, ENOTTY));
    }
  });

  it('tells of a device that cannot be migrated that there is no migration', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    for (const feature of [migration, state]) {
      const reply = await peer.ask(
        { command: Command.deviceFeature },
        encodeDeviceFeature(feature | get, undefined, 64),
      );
      expect(reply?.header.errno).toBe(ENOTTY);
    }
  });

  it('X6: GET of the state tells it', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    for (const at of [MigrationState.running, MigrationState.stop, MigrationState.error]) {
      device.state = at;
      const reply = await peer.ask({ command: Command.deviceFeature }, encodeDeviceFeature(state | get, undefined, 16));
      expect(reply?.body).toEqual(encodeDeviceFeature(state | get, words(at, 0xffff_ffff)));
    }
  });

  it.each(Object.entries(paths))(
    'X2: every state is reached from every other, step by step, or refused (%s)',
    async (_what, { flags, table }) => {
      await using bench = new Bench();
      const { peer, device } = await migratable(bench, new TestMigration(flags));
      for (const [from, row] of table.entries()) {
        for (const [to, path] of row.entries()) {
          device.state = from;
          device.steps.length = 0;
          expect(await setState(peer, to), `${from} to ${to}`).toBe(path === refused ? EINVAL : 0);
          expect(device.steps, `${from} to ${to}`).toEqual(path === refused ? [] : path);
          expect(device.state).toBe(path === refused ? from : to);
        }
      }
    },
  );

  it('X3: STOP_COPY to PRE_COPY is refused', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    device.state = MigrationState.stopCopy;
    expect(await setState(peer, MigrationState.preCopy)).toBe(EINVAL);
  });

  it.each([8, 0xabcd, 0xffff_ffff])('X4: state %i is refused', async (to) => {
    await using bench = new Bench();
    const { peer } = await migratable(bench);
    expect(await setState(peer, to)).toBe(EINVAL);
  });

  it('X5: the device’s error is passed on, and the device stays where it was', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    device.before = () => {
      if (device.state === MigrationState.stop) throw errno('EBUSY');
    };
    expect(await setState(peer, MigrationState.stopCopy)).toBe(constants.errno.EBUSY);
    expect(device.state).toBe(MigrationState.stop);
    expect(bench.failures).toEqual([]);
  });

  it('a mistake of the vendor is EIO, and ends the connection', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    device.before = () => {
      throw new TypeError('a mistake');
    };
    expect(await setState(peer, MigrationState.stop)).toBe(EIO);
    await peer.closed;
    expect(bench.failures).toHaveLength(1);
  });

  it('is answered when the device is there; what is asked behind it waits', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    let go = (): void => undefined;
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    let asked = false;
    device.before = () => {
      asked = true;
      return gone;
    };
    const info = words(16, 0, 0, 0);
    peer.send(
      joined(
        encodeMessage(
          { id: 1, command: Command.deviceFeature },
          encodeDeviceFeature(state | set, words(MigrationState.stop, 0)),
        ),
        encodeMessage({ id: 2, command: Command.deviceGetInfo }, info),
      ),
    );
    await until(() => asked, 'the request');
    expect(peer.received).toEqual([]);
    go();
    expect((await peer.next())?.header).toMatchObject({ id: 1, errno: 0 });
    expect((await peer.next())?.header).toMatchObject({ id: 2, errno: 0 });
  });

  it('an answer that comes when the client is gone reaches nobody', async () => {
    await using bench = new Bench();
    const { peer, device } = await migratable(bench);
    let go = (): void => undefined;
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    let asked = false;
    device.before = () => {
      asked = true;
      return gone;
    };
    peer.send(
      encodeMessage(
        { id: 1, command: Command.deviceFeature },
        encodeDeviceFeature(state | set, words(MigrationState.stop, 0)),
      ),
    );
    await until(() => asked, 'the request');
    peer.close();
    await until(() => bench.device.holder === undefined, 'the end');
    const next = bench.peer();
    await next.negotiate();
    go();
    const reply = await next.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0));
    expect(reply?.header).toMatchObject({ command: Command.deviceGetInfo, errno: 0 });
    expect(next.received).toEqual([]);
  });

  it('VERSION tells the page size of a device that can be migrated to who asks', async () => {
    await using bench = new Bench();
    bench.device.migration = new TestMigration();
    const client = await bench.connect();
    const asked = await client.negotiate({ capabilities: { migration: { pgsize: 4096 } } });
    expect(asked.capabilities.migration).toEqual({ pgsize: 4096 });
    await client.close();
    const other = await bench.connect();
    expect((await other.negotiate({ capabilities: {} })).capabilities).toEqual({});
  });
});
