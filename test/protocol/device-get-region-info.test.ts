import { describe, expect, it } from 'vitest';

import { closeFd, memoryFile } from '../../src/native/binding.ts';
import { channelOf } from '../../src/vfio-user/client/client.ts';
import type { ServedRegion } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeRegionCapabilities,
  decodeRegionInfo,
  joined,
  longs,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles } from '../vfio-user/support/bench.ts';
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
  it('G4, G9: tells size and rights, and offers nothing to map where there is no file', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.deviceGetRegionInfo, request(32, 0));
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
    const { body, fds } = await channelOf(client).request(
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
    await expect(channelOf(client).request(Command.deviceGetRegionInfo, body)).rejects.toMatchObject({
      code: 'EINVAL',
    });
  });
});

const MAPPED = 3;
const areas = [
  { offset: 0x2000, size: 0x1000 },
  { offset: 0x4000, size: 0x2000 },
];

/** A region of 0x8000 bytes that can be mapped in parts. */
function mapped(fds: readonly number[], parts = areas): ServedRegion {
  const map = { areas: parts, fds, cache: 'writeBack' as const };
  return { size: 0x8000, flags: 15, capabilities: { mmapAreas: parts }, map };
}

describe('DEVICE_GET_REGION_INFO of a region that can be mapped', () => {
  it('G5: tells how much room its capabilities need, and no more', async () => {
    await using bench = new Bench();
    using file = memoryFileOf(0x8000);
    bench.device.regions[MAPPED] = mapped([file.fd]);
    const client = await bench.client();
    for (const argsz of [32, 79]) {
      const { body, fds } = await channelOf(client).request(Command.deviceGetRegionInfo, request(argsz, MAPPED));
      expect(fds).toEqual([]);
      expect(body).toHaveLength(32);
      const told = { argsz: 80, flags: 7, index: MAPPED, capabilityOffset: 0, size: 0x8000, offset: 0 };
      expect(decodeRegionInfo(body)).toEqual(told);
    }
  });

  it('G6: lists its areas, with one file', async () => {
    await using bench = new Bench();
    using file = memoryFileOf(0x8000);
    bench.device.regions[MAPPED] = mapped([file.fd]);
    const client = await bench.client();
    const before = openFiles();
    const { body, fds } = await channelOf(client).request(Command.deviceGetRegionInfo, request(80, MAPPED));
    expect(body).toHaveLength(80);
    const told = { argsz: 80, flags: 15, index: MAPPED, capabilityOffset: 32, size: 0x8000, offset: 0 };
    expect(decodeRegionInfo(body)).toEqual(told);
    expect(body.subarray(32)).toEqual(
      joined(words(0x1_0001, 0, 2, 0), longs(0x2000n, 0x1000n), longs(0x4000n, 0x2000n)),
    );
    expect(fds).toHaveLength(1);
    for (const fd of fds) closeFd(fd);
    expect(openFiles()).toBe(before);
  });

  it('G7: lists more areas than a message has file descriptors', async () => {
    await using bench = new Bench();
    using file = memoryFileOf(0x40000);
    const many = Array.from({ length: 9 }, (_, index) => ({ offset: index * 0x2000, size: 0x1000 }));
    bench.device.regions[MAPPED] = { ...mapped([file.fd], many), size: 0x40000 };
    const client = await bench.connect();
    await client.negotiate({ capabilities: { max_msg_fds: 8 } });
    const { body, fds } = await channelOf(client).request(Command.deviceGetRegionInfo, request(32 + 16 + 144, MAPPED));
    expect(decodeRegionCapabilities(body, 32)).toEqual({ mmapAreas: many });
    expect(fds).toHaveLength(1);
    for (const fd of fds) closeFd(fd);
  });

  it('needs no capability when all of it can be mapped', async () => {
    await using bench = new Bench();
    using file = memoryFileOf(0x8000);
    const whole = { areas: [{ offset: 0, size: 0x8000 }], fds: [file.fd], cache: 'uncached' as const };
    bench.device.regions[MAPPED] = { size: 0x8000, flags: 5, map: whole };
    const client = await bench.client();
    const { body, fds } = await channelOf(client).request(Command.deviceGetRegionInfo, request(32, MAPPED));
    expect(decodeRegionInfo(body)).toMatchObject({ argsz: 32, flags: 5, capabilityOffset: 0 });
    expect(fds).toHaveLength(1);
    for (const fd of fds) closeFd(fd);
  });

  it.each([
    ['no file descriptor', { max_msg_fds: 0 }, 0, 0],
    ['one, as who says nothing', {}, 1, 0],
    ['two', { max_msg_fds: 2 }, 1, 2],
  ])('offers a client that takes %s only what it can take', async (_what, capabilities, one, two) => {
    await using bench = new Bench();
    using file = memoryFileOf(0x8000);
    bench.device.regions[MAPPED] = mapped([file.fd]);
    bench.device.regions[4] = mapped([file.fd, file.fd]);
    const client = await bench.connect();
    await client.negotiate({ capabilities });
    for (const [index, count] of [
      [MAPPED, one],
      [4, two],
    ] as const) {
      const { body, fds } = await channelOf(client).request(Command.deviceGetRegionInfo, request(80, index));
      const shown = count > 0;
      expect(decodeRegionInfo(body)).toMatchObject({ argsz: shown ? 80 : 32, flags: shown ? 15 : 3 });
      expect(body).toHaveLength(shown ? 80 : 32);
      expect(fds).toHaveLength(count);
      for (const fd of fds) closeFd(fd);
    }
  });

  it('tells what a region of its own is, and that there is one', async () => {
    await using bench = new Bench();
    bench.device.regions[9] = { size: 0x1000, flags: 9, capabilities: { type: 0x8000_1d0f, subtype: 3 } };
    bench.device.regions[10] = { size: 0x1000, flags: 3 };
    const client = await bench.client();
    expect(await client.info()).toMatchObject({ regions: 11 });
    const { body } = await channelOf(client).request(Command.deviceGetRegionInfo, request(48, 9));
    expect(body.subarray(32)).toEqual(words(0x1_0002, 0, 0x8000_1d0f, 3));
    expect(await client.regionInfo(9)).toEqual({
      index: 9,
      size: 0x1000,
      flags: 9,
      capabilities: { type: 0x8000_1d0f, subtype: 3 },
    });
    expect(await client.regionInfo(10)).toEqual({ index: 10, size: 0x1000, flags: 3 });
    await expect(client.regionInfo(11)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

/** A file that is closed at the end. */
function memoryFileOf(size: number): Disposable & { readonly fd: number } {
  const file = memoryFile(size);
  return {
    fd: file.fd,
    [Symbol.dispose]: () => {
      file.close();
    },
  };
}
