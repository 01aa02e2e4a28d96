import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { eventfd, memoryFile } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { MSIX } from '../vfio-user/support/test-device.ts';

describe('DEVICE_RESET', () => {
  it('resets the device, whatever its body is', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await client.reset();
    const { body } = await channelOf(client).request(Command.deviceReset, new Uint8Array(100));
    expect(body).toHaveLength(0);
    expect(bench.device.resets).toBe(2);
  });

  it('keeps eventfds and memory', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const [event, file] = [eventfd(), memoryFile(4096)];
    new BigUint64Array(file.buffer).fill(42n);
    await client.setIrqs({ index: MSIX, eventfds: [event.fd] });
    await client.dmaMap({ iova: 0n, size: 4096n, file });
    await client.reset();
    bench.device.core.triggerIrq(MSIX, 0);
    expect(event.read()).toBe(1);
    expect(bench.device.guestWord(0n)).toBe(42n);
    event.close();
    file.close();
  });

  it('passes the device’s error on', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    bench.device.onReset = () => constants.errno.EAGAIN;
    await expect(client.reset()).rejects.toMatchObject({ code: 'EAGAIN' });
    bench.device.onReset = () => {
      throw new Error('a mistake of the vendor');
    };
    await expect(client.reset()).rejects.toMatchObject({ code: 'EIO' });
    expect(bench.device.failures).toHaveLength(1);
    await expect(client.info()).resolves.toBeDefined();
  });
});
