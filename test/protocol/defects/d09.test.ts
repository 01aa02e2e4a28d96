import { expect, it } from 'vitest';

import { Command, DeviceFeature, DeviceFeatureFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeDeviceFeature, joined, longs, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { TestMigration } from '../../vfio-user/support/test-migration.ts';

it.each([DeviceFeature.dmaLoggingStart, DeviceFeature.dmaLoggingStop])(
  'D9: logging feature %i on a device that can be migrated and has no memory is answered',
  async (feature) => {
    await using bench = new Bench();
    bench.device.migration = new TestMigration();
    const peer = bench.peer();
    await peer.negotiate();
    const body = encodeDeviceFeature(feature | DeviceFeatureFlag.set, joined(longs(4096n), words(0, 0)));
    expect(await peer.ask({ command: Command.deviceFeature }, body)).toBeDefined();
    expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
  },
);
