import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { joined, longs, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { errorReply } from '../vfio-user/support/raw-peer.ts';
import { bits, DirtyClient, FIRST, PAGE, setBits } from './support/dirty-client.ts';

const { EINVAL, ENOENT } = constants.errno;

describe('DMA logging', () => {
  it('P1: a page size of 0 is refused, and one that is no power of two', async () => {
    await using client = await DirtyClient.of();
    expect(await client.start(0n)).toBe(EINVAL);
    expect(await client.start(3n * PAGE)).toBe(EINVAL);
  });

  it('P2, P3: the same start twice is accepted, another one is refused', async () => {
    await using client = await DirtyClient.of();
    expect([await client.start(PAGE), await client.start(PAGE)]).toEqual([0, 0]);
    expect([await client.start(PAGE / 2n), await client.start(2n * PAGE)]).toEqual([EINVAL, EINVAL]);
  });

  it('P4: nothing is dirty at first', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    expect(await client.report(PAGE)).toBe(0n);
  });

  it('P5: what the device writes is, once; what it reads is not', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(0, 6, 7, 8, 9);
    client.bench.device.guestWord((FIRST + 3n) * PAGE);
    expect(await client.report(PAGE)).toBe(0b1111000001n);
    expect(await client.report(PAGE)).toBe(0n);
  });

  it('P6: other page sizes are expanded and combined', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    for (const [pageSize, expected] of [
      [PAGE / 2n, 0b11111111000000000011n],
      [2n * PAGE, 0b11001n],
      [16n * PAGE, 0b1n],
    ] as const) {
      client.write(0, 6, 7, 8, 9);
      expect(await client.report(pageSize)).toBe(expected);
      expect(await client.report(pageSize)).toBe(0n);
    }
  });

  it.each([
    [[0]],
    [[7]],
    [[0, 1, 2, 3, 4, 5, 6]],
    [[0, 1, 2, 3, 4, 5, 6, 7]],
    [[0, 1, 2, 3, 4, 5, 6, 7, 8]],
    [[7, 8]],
    [[15]],
    [[23]],
    [[2, 3, 22]],
    [[31]],
  ])('P7: at the edges of bytes (%j)', async (pages) => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(...pages);
    expect(await client.report(PAGE)).toBe(setBits(...pages));
  });

  // The C implementation reports whole maps only, and none without a file; the specification knows ranges.
  it('P8: ranges are reported as they are asked for, and what is not mapped is not', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(0, 6);
    expect(await client.report(PAGE, 0x8000n * PAGE, PAGE)).toBe(-BigInt(ENOENT));
    expect(await client.report(1n << 24n)).toBe(-BigInt(EINVAL));
    expect(await client.report(PAGE, (FIRST + 6n) * PAGE, PAGE)).toBe(1n);
    expect(await client.report(PAGE, FIRST * PAGE, 4n * PAGE)).toBe(1n);
    expect(await client.report(PAGE, 0x10000n * PAGE, PAGE)).toBe(0n);
    expect(await client.report(PAGE, FIRST * PAGE, 0n)).toBe(-BigInt(EINVAL));
  });

  it('P9: after the end nothing is reported', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    expect([await client.stop(), await client.stop()]).toEqual([0, 0]);
    expect(await client.report(PAGE)).toBe(-BigInt(EINVAL));
  });

  // The C implementation has no logging without migration; ours needs nothing of the device.
  it('P10: works on a device that cannot be migrated, once it is started', async () => {
    await using client = await DirtyClient.of();
    expect(await client.report(PAGE)).toBe(-BigInt(EINVAL));
    expect(await client.start(PAGE)).toBe(0);
  });

  it('P11: a map that goes leaves the others’ pages as they are', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(3);
    const unmap = joined(words(24, 0), longs(0x10000n * PAGE, client.pages * PAGE));
    expect((await client.peer.ask({ command: Command.dmaUnmap }, unmap))?.header.errno).toBe(0);
    expect(await client.report(PAGE, 0x10000n * PAGE, PAGE)).toBe(-BigInt(ENOENT));
    expect(await client.report(PAGE)).toBe(setBits(3));
  });

  it('X21: a report that does not fit is refused, and forgets nothing', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(3);
    expect(await client.report(PAGE, undefined, undefined, 8 + 24 + 7)).toBe(-BigInt(EINVAL));
    expect(await client.report(PAGE)).toBe(setBits(3));
  });

  it('may be about some ranges', async () => {
    await using client = await DirtyClient.of();
    expect(await client.start(PAGE, [FIRST * PAGE, 4n * PAGE])).toBe(0);
    client.write(1, 5);
    expect(await client.report(PAGE, FIRST * PAGE, 4n * PAGE)).toBe(setBits(1));
  });

  it('DMA_UNMAP reports what was dirty to the last', async () => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    client.write(0, 31);
    const front = joined(words(24 + 16 + 8, 1), longs(FIRST * PAGE, 32n * PAGE, PAGE, 8n));
    const reply = await client.peer.ask({ command: Command.dmaUnmap }, front);
    expect(reply?.body.subarray(0, 40)).toEqual(front);
    expect(bits(reply?.body.subarray(40) ?? new Uint8Array(0))).toBe(setBits(0, 31));
    expect(await client.report(PAGE)).toBe(-BigInt(ENOENT));
  });

  it.each([
    ['U4: a bitmap whose size wraps', longs(PAGE, (1n << 64n) - 8n)],
    ['a bitmap of another size', longs(PAGE, 16n)],
    ['a bitmap without a size', longs(PAGE, 0n)],
    ['a page size of 0', longs(0n, 8n)],
    ['half a bitmap', longs(PAGE)],
  ])('DMA_UNMAP refuses %s, and unmaps nothing', async (_what, bitmap) => {
    await using client = await DirtyClient.of();
    await client.start(PAGE);
    const body = joined(words(24 + 16 + 8, 1), longs(FIRST * PAGE, 32n * PAGE), bitmap);
    expect(await client.peer.ask({ command: Command.dmaUnmap }, body)).toEqual(errorReply(Command.dmaUnmap, EINVAL));
    expect(await client.report(PAGE)).toBe(0n);
  });
});
