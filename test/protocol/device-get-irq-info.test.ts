import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { words } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { ERR, INTX, MSI, MSI_VECTORS, MSIX, MSIX_VECTORS, REQ } from '../vfio-user/support/test-device.ts';

describe('DEVICE_GET_IRQ_INFO', () => {
  it('Q5: tells the vectors of each index; MSI-X may grow one by one', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    // Not NORESIZE (8): with it QEMU would disable all vectors to add one.
    expect(await client.irqInfo(MSIX)).toEqual({ flags: 1, index: MSIX, count: MSIX_VECTORS });
    expect(await client.irqInfo(ERR)).toMatchObject({ count: 1 });
    expect(await client.irqInfo(REQ)).toMatchObject({ count: 1 });
    // EVENTFD, MASKABLE and AUTOMASKED; MSI and the events cannot grow.
    expect(await client.irqInfo(INTX)).toMatchObject({ count: 1, flags: 7 });
    expect(await client.irqInfo(MSI)).toMatchObject({ count: MSI_VECTORS, flags: 9 });
    for (const index of [ERR, REQ]) expect(await client.irqInfo(index)).toMatchObject({ flags: 9 });
  });

  it('Q4: accepts a larger argsz', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const { body } = await channelOf(client).request(Command.deviceGetIrqInfo, words(32, 0, MSIX, 0, 0, 0, 0, 0));
    expect(body).toHaveLength(16);
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['Q1: 8 bytes', words(16, 0)],
    ['one byte short', words(16, 0, MSIX, 0).subarray(0, 15)],
    ['Q2: argsz 8', words(8, 0, MSIX, 0)],
    ['Q3: index 5', words(16, 0, 5, 0)],
    ['index 2^32 - 1', words(16, 0, 0xffff_ffff, 0)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(channelOf(client).request(Command.deviceGetIrqInfo, body)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});
