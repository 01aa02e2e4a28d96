import { expect, it } from 'vitest';

import { Command, DeviceFeature, DeviceFeatureFlag, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeDeviceFeature, joined, longs, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { acmeDevice } from '../../mdev/support/acme.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { TestMigration } from '../../vfio-user/support/test-migration.ts';
import { ConfigClient } from '../support/config-client.ts';

const { get, set } = DeviceFeatureFlag;

// The C implementation reads beyond each of these. The sanitized native tests see ours do it.
it.each([
  [
    'SET of the state without one',
    Command.deviceFeature,
    encodeDeviceFeature(DeviceFeature.migrationDeviceState | set),
  ],
  ['LOGGING_START without a body', Command.deviceFeature, encodeDeviceFeature(DeviceFeature.dmaLoggingStart | set)],
  ['REPORT without a body', Command.deviceFeature, encodeDeviceFeature(DeviceFeature.dmaLoggingReport | get)],
  [
    'migration state 8',
    Command.deviceFeature,
    encodeDeviceFeature(DeviceFeature.migrationDeviceState | set, words(8, 0)),
  ],
  ['UNMAP with a bitmap that is not there', Command.dmaUnmap, joined(words(24, 1), longs(0n, 4096n))],
  ['UNMAP of 4 bytes', Command.dmaUnmap, words(24)],
  ['MAP of 1 byte', Command.dmaMap, new Uint8Array(1)],
])('D10: %s is refused without a look at what is behind it', async (_what, command, body) => {
  await using bench = new Bench();
  bench.device.migration = new TestMigration();
  const peer = bench.peer();
  await peer.negotiate();
  const reply = await peer.ask({ command }, body);
  expect(reply?.header).toMatchObject({ flags: MessageFlag.reply | MessageFlag.error, size: 16 });
  expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
});

it.each([0x04, 0x10, 0x30])(
  'D10: a write of 1 byte to the config register at %i touches that byte only',
  async (offset) => {
    const device = await acmeDevice();
    await using client = await ConfigClient.of(device);
    const before = await client.read(offset, 4);
    expect(await client.write(offset, 1, 0n)).toBe(0);
    expect((await client.read(offset, 4)) >> 8n).toBe(before >> 8n);
  },
);
