import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { memoryFile } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { joined, longs, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../vfio-user/support/bench.ts';

const PAGE = 4096n;
const ALL_ONES = (1n << 64n) - 1n;

interface Fields {
  readonly argsz?: number;
  readonly flags?: number;
  readonly offset?: bigint;
  readonly address?: bigint;
  readonly size?: bigint;
}

function request({ argsz = 32, flags = 3, offset = 0n, address = 0n, size = PAGE }: Fields = {}): Uint8Array {
  return joined(words(argsz, flags), longs(offset, address, size));
}

describe('DMA_MAP', () => {
  it('maps a file, at an offset, with the rights that were given', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4 * 4096);
    const memory = new BigUint64Array(file.buffer);
    memory[512] = 11n;
    await client.dmaMap({ iova: 0x10_0000n, size: 2n * PAGE, file, offset: PAGE, access: 'r' });
    file.close();
    expect(bench.device.guestWord(0x10_0000n)).toBe(11n);
    expect(bench.device.core.dmaWrite(0x10_0000n, new Uint8Array(8))).not.toBe(0);
    await client.dmaMap({ iova: 0x20_0000n, size: PAGE, memory: new Uint8Array(4096) });
    // Without a file it is only reachable by message.
    expect(bench.device.core.dmaRead(0x20_0000n, new Uint8Array(8))).toBe(-1);
  });

  it('accepts the same map again', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4096);
    await client.dmaMap({ iova: 0n, size: PAGE, file });
    await client.dmaMap({ iova: 0n, size: PAGE, file });
    file.close();
    expect(bench.device.guestWord(0n)).toBe(0n);
  });

  it('accepts read-only memory without a file, as QEMU maps its ROM', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(
      Command.dmaMap,
      request({ flags: 1, address: 0xfffc_0000n, size: 0x4_0000n }),
    );
    expect(body).toHaveLength(0);
  });

  it.each([
    ['no body', new Uint8Array(0), 'EINVAL'],
    ['one byte short', request().subarray(0, 31), 'EINVAL'],
    ['argsz 31', request({ argsz: 31 }), 'EINVAL'],
    ['no right', request({ flags: 0 }), 'EINVAL'],
    ['an unknown flag', request({ flags: 7 }), 'EINVAL'],
    ['size 0', request({ size: 0n }), 'EINVAL'],
    ['an odd size', request({ size: 4095n }), 'EINVAL'],
    ['an odd address', request({ address: 1n }), 'EINVAL'],
    ['a range that wraps', request({ address: 0xffff_ffff_ffff_f000n, size: 0x2000n }), 'EINVAL'],
    ['everything', request({ address: 0n, size: ALL_ONES }), 'EINVAL'],
    ['an offset without a file', request({ offset: PAGE }), 'EINVAL'],
  ])('refuses %s', async (_what, body, code) => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(channelOf(client).request(Command.dmaMap, body)).rejects.toMatchObject({ code });
    // It has left nothing behind: the same place can be mapped.
    await channelOf(client).request(Command.dmaMap, request());
  });

  it.each([
    ['a range beyond the file', { size: 3n * PAGE }, 'EINVAL'],
    ['an odd offset', { offset: 1n }, 'EINVAL'],
    ['an offset that wraps', { offset: 0xffff_ffff_ffff_f000n, size: 2n * PAGE }, 'EINVAL'],
  ])('refuses %s, and closes the file', async (_what, fields, code) => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(2 * 4096);
    await settle();
    const before = openFiles();
    await expect(channelOf(client).request(Command.dmaMap, request(fields), [file.fd])).rejects.toMatchObject({ code });
    await settle();
    expect(openFiles()).toBe(before);
    file.close();
  });

  it('refuses two files, and rights beyond those of the file', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4096);
    await settle();
    const before = openFiles();
    await expect(channelOf(client).request(Command.dmaMap, request(), [file.fd, file.fd])).rejects.toMatchObject({
      code: 'EINVAL',
    });
    const readOnly = openSync(`/proc/self/fd/${file.fd}`, 'r');
    await expect(channelOf(client).request(Command.dmaMap, request(), [readOnly])).rejects.toMatchObject({
      code: 'EACCES',
    });
    await channelOf(client).request(Command.dmaMap, request({ flags: 1 }), [readOnly]);
    closeSync(readOnly);
    await client.dmaUnmapAll();
    await settle();
    expect(openFiles()).toBe(before);
    file.close();
  });

  it('M1: refuses a map of more than 8 TiB, with ENOSPC', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const map = async (size: bigint): Promise<number | undefined> =>
      (await peer.ask({ command: Command.dmaMap }, request({ size })))?.header.errno;
    expect(await map((1n << 43n) + PAGE)).toBe(constants.errno.ENOSPC);
    expect(await map(1n << 43n)).toBe(0);
  });

  it('M2: refuses more maps than were agreed, with ENOSPC, until one is gone', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.ask(
      { command: Command.version },
      writeVersion({ major: 0, minor: 0, capabilities: { max_dma_maps: 3 } }),
    );
    const map = async (n: bigint): Promise<number | undefined> =>
      (await peer.ask({ command: Command.dmaMap }, request({ address: n * PAGE })))?.header.errno;
    expect([await map(0n), await map(1n), await map(2n), await map(3n)]).toEqual([0, 0, 0, constants.errno.ENOSPC]);
    await peer.ask({ command: Command.dmaUnmap }, joined(words(24, 0), longs(0n, PAGE)));
    expect(await map(3n)).toBe(0);
    peer.close();
    // The next client has its own number.
    const client = await bench.client();
    for (let n = 0n; n < 4n; ++n) await channelOf(client).request(Command.dmaMap, request({ address: n * PAGE }));
  });

  it('refuses what is no multiple of the page size that was agreed', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.ask(
      { command: Command.version },
      writeVersion({ major: 0, minor: 0, capabilities: { pgsizes: 0x10000 } }),
    );
    const ask = async (body: Uint8Array): Promise<number | undefined> =>
      (await peer.ask({ command: Command.dmaMap }, body))?.header.errno;
    expect(await ask(request({ address: 0x10000n, size: PAGE }))).toBe(constants.errno.EINVAL);
    expect(await ask(request({ address: PAGE, size: 0x10000n }))).toBe(constants.errno.EINVAL);
    expect(await ask(request({ address: 0x10000n, size: 0x10000n }))).toBe(0);
  });

  it('refuses what overlaps, with EEXIST', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await channelOf(client).request(Command.dmaMap, request({ address: 0x10000n, size: 0x4000n }));
    for (const [address, size] of [
      [0xf000n, 0x2000n],
      [0x13000n, 0x2000n],
      [0x11000n, 0x1000n],
      [0xf000n, 0x10000n],
      [0x10000n, 0x1000n],
    ] as const) {
      await expect(channelOf(client).request(Command.dmaMap, request({ address, size }))).rejects.toMatchObject({
        code: 'EEXIST',
      });
    }
    await channelOf(client).request(Command.dmaMap, request({ address: 0x14000n }));
  });

  it('forgets every map and file when the client is gone', async () => {
    await using bench = new Bench();
    const file = memoryFile(64 * 4096);
    await settle();
    const before = openFiles();
    const client = await bench.client();
    for (let page = 0n; page < 64n; ++page) {
      await client.dmaMap({ iova: page * 0x10000n, size: PAGE, file, offset: page * PAGE });
    }
    await client.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    expect(bench.device.guestWord(0n)).toBeLessThan(0n);
    file.close();
  });
});
