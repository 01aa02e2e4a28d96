import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeRegionAccess,
  encodeRegionAccess,
  joined,
  longs,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { errorReply } from '../vfio-user/support/raw-peer.ts';
import { ABSENT_REGION, LARGE_REGION, LARGE_SIZE, Offset, ONES_REGION } from '../vfio-user/support/test-device.ts';

const { EINVAL, EIO } = constants.errno;

describe('REGION_READ', () => {
  it('reads registers of every width, served by C++ and by a hook', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    bench.device.onRead = () => 0xcafe_f00d;
    expect(await client.readRegister(0, Offset.id, 4)).toBe(0x1234_5678);
    expect(await client.readRegister(0, Offset.id + 2, 2)).toBe(0x1234);
    expect(await client.readRegister(0, Offset.id + 1, 1)).toBe(0x56);
    expect(await client.readRegister(0, Offset.hooked, 4)).toBe(0xcafe_f00d);
    expect(await client.readRegister64(0, Offset.id)).toBe(0x1234_5678n);
    expect(await client.readRegister(ONES_REGION, 0, 4)).toBe(0xffff_ffff);
  });

  it('reads as much as one message carries, and across page and region ends not at all', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const large = await client.readRegion(LARGE_REGION, 0, LARGE_SIZE);
    expect(large.length).toBe(LARGE_SIZE);
    expect(large.every((byte) => byte === 0xff)).toBe(true);
    expect(await client.readRegion(0, 0, 0x4000)).toHaveLength(0x4000);
  });

  it('L9: answers a read of nothing with nothing', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const access = { offset: 0x4000n, region: 0, count: 0 };
    const { body } = await channelOf(client).request(Command.regionRead, encodeRegionAccess(access));
    expect(body).toHaveLength(16);
    expect(decodeRegionAccess(body)).toEqual(access);
  });

  it('ignores what follows the request', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const request = joined(encodeRegionAccess({ offset: 0n, region: 0, count: 4 }), new Uint8Array(100));
    expect((await channelOf(client).request(Command.regionRead, request)).body).toHaveLength(20);
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['8 bytes', longs(0n)],
    ['15 bytes', longs(0n, 0n).subarray(0, 15)],
    ['an absent region', encodeRegionAccess({ offset: 0n, region: ABSENT_REGION, count: 4 })],
    ['region 9', encodeRegionAccess({ offset: 0n, region: 9, count: 4 })],
    ['region 2^32 - 1', encodeRegionAccess({ offset: 0n, region: 0xffff_ffff, count: 4 })],
    ['an end beyond the region', encodeRegionAccess({ offset: 0x3ffdn, region: 0, count: 4 })],
    ['an offset beyond the region', encodeRegionAccess({ offset: 0x4001n, region: 0, count: 0 })],
    ['L8: an offset that wraps', encodeRegionAccess({ offset: (1n << 64n) - 1n, region: 0, count: 256 })],
    ['L10: 1 MiB and 8 bytes', encodeRegionAccess({ offset: 0n, region: LARGE_REGION, count: (1 << 20) + 8 })],
    ['2^32 - 1 bytes', encodeRegionAccess({ offset: 0n, region: LARGE_REGION, count: 0xffff_ffff })],
  ])('refuses %s with a bare header', async (_what, body) => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    expect(await peer.ask({ command: Command.regionRead }, body)).toEqual(errorReply(Command.regionRead, EINVAL));
    expect(bench.device.core.statistics().refused).toBe(1);
  });

  it('fails while memory decode is off, if that is enforced', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    bench.device.core.setEnforceMemoryDecode(true);
    const body = encodeRegionAccess({ offset: 0n, region: 0, count: 4 });
    expect(await peer.ask({ command: Command.regionRead }, body)).toEqual(errorReply(Command.regionRead, EIO));
    bench.device.core.setMemoryDecode(true);
    expect((await peer.ask({ command: Command.regionRead }, body))?.header.errno).toBe(0);
  });

  it('fails when a hook throws, and the next one is served', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    bench.device.onRead = () => {
      throw new Error('a mistake of the vendor');
    };
    await expect(client.readRegister(0, Offset.hooked, 4)).rejects.toMatchObject({ code: 'EIO' });
    await expect(client.readRegister(0, Offset.id, 4)).resolves.toBe(0x1234_5678);
    expect(bench.device.failures).toHaveLength(1);
  });
});
