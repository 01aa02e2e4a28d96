import { describe, expect, it } from 'vitest';

import { Command } from '../../src/vfio-user/protocol.ts';
import { decodeRegionInfo, joined, longs, words } from '../../src/vfio-user/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import {
  ABSENT_REGION,
  CONFIG_REGION,
  LARGE_REGION,
  LARGE_SIZE,
  ONES_REGION,
} from '../vfio-user/support/test-device.ts';

function request(argsz: number, index: number, flags = 0): Uint8Array {
  return joined(words(argsz, flags, index, 0), longs(0n, 0n));
}

describe('DEVICE_GET_REGION_INFO', () => {
  it('G4, G9: tells size and rights, and never offers to map', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await client.channel.request(Command.deviceGetRegionInfo, request(32, 0));
    const plain = { argsz: 32, capabilityOffset: 0, offset: 0 };
    expect(decodeRegionInfo(body)).toEqual({ ...plain, index: 0, flags: 3, size: 0x4000 });
    expect(await client.regionInfo(0)).toEqual({ index: 0, flags: 3, size: 0x4000 });
    expect(await client.regionInfo(ONES_REGION)).toEqual({ index: ONES_REGION, flags: 1, size: 4096 });
    expect(await client.regionInfo(LARGE_REGION)).toEqual({
      index: LARGE_REGION,
      flags: 3,
      size: LARGE_SIZE,
    });
    expect(await client.regionInfo(CONFIG_REGION)).toEqual({ index: CONFIG_REGION, flags: 3, size: 4096 });
    expect(await client.regionInfo(ABSENT_REGION)).toEqual({ index: ABSENT_REGION, flags: 0, size: 0 });
  });

  it('L12: tells sizes beyond 32 bits', async () => {
    await using bench = new Bench();
    const size = 8 * 2 ** 30;
    bench.device.regions[4] = { size, flags: 7 };
    const client = await bench.client();
    expect(await client.regionInfo(4)).toMatchObject({ size, flags: 3 });
  });

  it('accepts a larger argsz and body', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body, fds } = await client.channel.request(
      Command.deviceGetRegionInfo,
      joined(request(80, 0), new Uint8Array(48)),
    );
    expect(body).toHaveLength(32);
    expect(fds).toEqual([]);
    expect(decodeRegionInfo(body)).toMatchObject({ argsz: 32, size: 0x4000 });
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['G1: 8 bytes', words(32, 0)],
    ['one byte short', request(32, 0).subarray(0, 31)],
    ['G2: argsz 8', request(8, 0)],
    ['argsz 31', request(31, 0)],
    ['G3: index 9', request(32, 9)],
    ['index 2^32 - 1', request(32, 0xffff_ffff)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(client.channel.request(Command.deviceGetRegionInfo, body)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});
