import { constants } from 'node:os';
import { expect, it } from 'vitest';

import { MigrationState } from '../../../src/mdev/index.ts';
import { Command, DeviceFeature, DeviceFeatureFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeDeviceFeature, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, settle } from '../../vfio-user/support/bench.ts';
import { errorReply } from '../../vfio-user/support/raw-peer.ts';
import { errno, TestMigration } from '../../vfio-user/support/test-migration.ts';

// The C implementation quiesces before DMA_MAP, DMA_UNMAP and DEVICE_RESET. Here they do not wait for the device's behaviour; what does is migration. A reset while the device is
// being quiesced is in reset-in-flight.test.ts.
it('D8: a request that has to wait for the device is answered, also when the device gives up', async () => {
  await using bench = new Bench();
  const migration = new TestMigration();
  bench.device.migration = migration;
  let giveUp = (_error: Error): void => undefined;
  migration.before = () =>
    new Promise((_resolve, reject) => {
      giveUp = reject;
    });
  const peer = bench.peer();
  await peer.negotiate();
  const flags = DeviceFeature.migrationDeviceState | DeviceFeatureFlag.set;
  const answer = peer.ask(
    { command: Command.deviceFeature },
    encodeDeviceFeature(flags, words(MigrationState.stop, 0)),
  );
  await settle();
  giveUp(errno('ENOTTY'));
  expect(await answer).toEqual(errorReply(Command.deviceFeature, constants.errno.ENOTTY));
  expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
});
