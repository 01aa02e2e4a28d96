import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { memoryFile } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { joined, longs, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';

const PAGE = 4096n;

function request(address: bigint, size: bigint, flags = 0, argsz = 24): Uint8Array {
  return joined(words(argsz, flags), longs(address, size));
}

describe('DMA_UNMAP', () => {
  it('U7: removes a map, and echoes the request', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4096);
    await client.dmaMap({ iova: PAGE, size: PAGE, file });
    const { body } = await channelOf(client).request(Command.dmaUnmap, request(PAGE, PAGE));
    expect(body).toEqual(request(PAGE, PAGE));
    expect(bench.device.guestWord(PAGE)).toBeLessThan(0n);
    await client.dmaMap({ iova: PAGE, size: PAGE, file });
    expect(bench.device.guestWord(PAGE)).toBe(0n);
    file.close();
  });

  it('U9: removes everything', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    for (let index = 0n; index < 64n; ++index) {
      await channelOf(client).request(Command.dmaMap, joined(words(32, 3), longs(0n, index * 2n * PAGE, PAGE)));
    }
    await client.dmaUnmapAll();
    await expect(client.dmaUnmap({ iova: 0n, size: PAGE })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['no body', new Uint8Array(0), 'EINVAL'],
    ['U1: 8 bytes', words(24, 0), 'EINVAL'],
    ['one byte short', request(0n, PAGE).subarray(0, 23), 'EINVAL'],
    ['U2: argsz 8', request(0n, PAGE, 0, 8), 'EINVAL'],
    ['U3: argsz beyond a transfer', request(0n, PAGE, 0, (1 << 20) + 9), 'EINVAL'],
    ['U5: a dirty bitmap', joined(request(0n, PAGE, 1, 48), longs(PAGE, 8n)), 'EINVAL'],
    ['U6: an unknown flag', request(0n, PAGE, 4), 'EINVAL'],
    ['U10: everything, with an address', request(PAGE, 0n, 2), 'EINVAL'],
    ['U10: everything, with a size', request(0n, PAGE, 2), 'EINVAL'],
    ['U11: everything, with a dirty bitmap', request(0n, 0n, 3), 'EINVAL'],
    ['U8: an unknown address', request(0x10_0000n, PAGE), 'ENOENT'],
    ['half a map', request(0n, PAGE), 'EINVAL'],
    ['a range that wraps', request(0xffff_ffff_ffff_f000n, 0x2000n), 'EINVAL'],
  ])('refuses %s', async (_what, body, code) => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(2 * 4096);
    await client.dmaMap({ iova: 0n, size: 2n * PAGE, file });
    await expect(channelOf(client).request(Command.dmaUnmap, body)).rejects.toMatchObject({ code });
    expect(bench.device.guestWord(PAGE)).toBe(0n);
    file.close();
  });

  // Maps at pages 2 and 3, at 5, and, of two pages, at 8 (decision 15).
  const there = [
    [2n, 1n],
    [3n, 1n],
    [5n, 1n],
    [8n, 2n],
  ] as const;
  it.each([
    ['exactly one map', 5n, 1n, undefined, [2n, 3n, 8n, 9n]],
    ['two maps side by side', 2n, 2n, undefined, [5n, 8n, 9n]],
    ['maps and the hole between them', 2n, 4n, undefined, [8n, 9n]],
    ['a map and holes around it', 4n, 3n, undefined, [2n, 3n, 8n, 9n]],
    ['all of them', 0n, 16n, undefined, []],
    ['the lower half of a map', 8n, 1n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
    ['the upper half of a map', 9n, 1n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
    ['whole maps and the lower half of the last', 2n, 7n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
    ['the upper half of the first and a hole', 9n, 7n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
    ['a hole between maps', 6n, 2n, 'ENOENT', [2n, 3n, 5n, 8n, 9n]],
    ['a hole in front of them', 0n, 2n, 'ENOENT', [2n, 3n, 5n, 8n, 9n]],
    ['nothing', 5n, 0n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
    ['everything from a map on, and round', 5n, (1n << 52n) - 2n, 'EINVAL', [2n, 3n, 5n, 8n, 9n]],
  ] as const)('of %s', async (_what, page, pages, code, left) => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4096 * 2);
    for (const [at, size] of there) await client.dmaMap({ iova: at * PAGE, size: size * PAGE, file });
    const body = request(page * PAGE, pages * PAGE);
    const answer = channelOf(client).request(Command.dmaUnmap, body);
    if (code === undefined) expect((await answer).body).toEqual(body);
    else await expect(answer).rejects.toMatchObject({ code });
    const mapped = [];
    for (let at = 0n; at < 16n; ++at) if (bench.device.guestWord(at * PAGE) === 0n) mapped.push(at);
    expect(mapped).toEqual(left);
    file.close();
  });
});
