import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { decodeDeviceInfo, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';

describe('DEVICE_GET_INFO', () => {
  it('says PCI, with reset, nine regions and five irqs', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.deviceGetInfo, words(16, 0, 0, 0));
    expect(decodeDeviceInfo(body)).toEqual({ argsz: 16, flags: 3, regions: 9, irqs: 5 });
  });

  it('I3: accepts a larger argsz and body, and says how much there is', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.deviceGetInfo, words(32, 0, 0, 0, 0, 0, 0, 0));
    expect(body).toHaveLength(16);
    expect(decodeDeviceInfo(body)?.argsz).toBe(16);
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['I1: half a body', words(16, 0)],
    ['one byte short', words(16, 0, 0, 0).subarray(0, 15)],
    ['I2: argsz of half a body', words(8, 0, 0, 0)],
    ['argsz 0', words(0, 0, 0, 0)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(channelOf(client).request(Command.deviceGetInfo, body)).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(client.info()).resolves.toMatchObject({ regions: 9 });
  });
});
