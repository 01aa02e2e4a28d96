import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { Command, MessageFlag } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeRegionAccess,
  encodeMessage,
  encodeRegionAccess,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { errorReply } from '../vfio-user/support/raw-peer.ts';
import { LARGE_REGION, Offset, ONES_REGION } from '../vfio-user/support/test-device.ts';

const { EINVAL } = constants.errno;

function write(offset: bigint, data: Uint8Array, region = 0, count = data.length): Uint8Array {
  return encodeRegionAccess({ offset, region, count }, data);
}

describe('REGION_WRITE', () => {
  it('writes registers of every width, served by C++ and by a hook', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const written: number[] = [];
    bench.device.onWrite = (value) => written.push(value);
    await client.writeRegister(0, Offset.control, 4, 0x1122_3344);
    await client.writeRegister(0, Offset.control + 1, 1, 0xaa);
    await client.writeRegister(0, Offset.control + 2, 2, 0xbbcc);
    expect(await client.readRegister(0, Offset.control, 4)).toBe(0xbbcc_aa44);
    await client.writeRegister(0, Offset.hooked, 4, 17);
    expect(written).toEqual([17]);
    await client.writeRegister64(0, Offset.scratch, 0x0102_0304_0506_0708n);
    expect(await client.readRegister64(0, Offset.scratch)).toBe(0x0102_0304_0506_0708n);
  });

  it('echoes offset, region and count', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.regionWrite, write(0x1000n, new Uint8Array(24)));
    expect(body).toHaveLength(16);
    expect(decodeRegionAccess(body)).toEqual({ offset: 0x1000n, region: 0, count: 24 });
  });

  it('takes as much as one message carries', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await client.writeRegion(LARGE_REGION, 0, new Uint8Array(1 << 20));
    const data = Uint8Array.from({ length: 0x2000 }, (_, index) => index * 7);
    await client.writeRegion(0, Offset.scratch, data);
    expect(await client.readRegion(0, Offset.scratch, data.length)).toEqual(data);
  });

  it('never answers a posted write, and keeps the order with what follows', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const flags = MessageFlag.noReply;
    for (let value = 0; value < 1000; ++value) {
      const data = new Uint8Array(new Uint32Array([value]).buffer);
      peer.send(encodeMessage({ id: value, command: Command.regionWrite, flags }, write(4n, data)));
    }
    // Posted and wrong.
    peer.send(encodeMessage({ id: 1, command: Command.regionWrite, flags }, write(0x4000n, new Uint8Array(4))));
    peer.send(encodeMessage({ id: 2, command: Command.regionWrite, flags }, new Uint8Array(3)));
    const read = encodeRegionAccess({ offset: 4n, region: 0, count: 4 });
    const answer = await peer.ask({ command: Command.regionRead, id: 99 }, read);
    expect(answer?.header.id).toBe(99);
    expect(new DataView((answer?.body ?? new Uint8Array(0)).slice(16).buffer).getUint32(0, true)).toBe(999);
    expect(bench.device.core.statistics().refused).toBe(2);
    expect(peer.received).toEqual([]);
  });

  it('L9: accepts a write of nothing', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.regionWrite, write(0n, new Uint8Array(0)));
    expect(body).toHaveLength(16);
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['L11: 8 bytes', new Uint8Array(8)],
    ['a count beyond the data', write(0x1000n, new Uint8Array(4), 0, 5)],
    ['a count within the data', write(0x1000n, new Uint8Array(4), 0, 3)],
    ['a count of 2^32 - 1', write(0x1000n, new Uint8Array(4), 0, 0xffff_ffff)],
    ['a region that is read only', write(0n, new Uint8Array(4), ONES_REGION)],
    ['region 9', write(0n, new Uint8Array(4), 9)],
    ['an end beyond the region', write(0x3ffdn, new Uint8Array(4))],
    ['an offset that wraps', write((1n << 64n) - 2n, new Uint8Array(4))],
  ])('refuses %s with a bare header, and changes nothing', async (_what, body) => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const before = bench.device.core.statistics().writes;
    expect(await peer.ask({ command: Command.regionWrite }, body)).toEqual(errorReply(Command.regionWrite, EINVAL));
    expect(bench.device.core.statistics().writes).toBe(before);
  });

  it('lets a hook close the server in the middle of a write', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    bench.device.onWrite = () => void bench.server.close();
    await expect(client.writeRegister(0, Offset.hooked, 4, 1)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await bench.server.closed;
    expect(bench.device.holder).toBeUndefined();
  });
});
