import { describe, expect, it } from 'vitest';

import { memoryFile, type VfioDevice } from '../../src/vfio-user/index.ts';
import { DeviceFeature } from '../../src/vfio-user/protocol/constants.ts';
import { encodeDmaLoggingReport, encodeDmaLoggingStart, longs } from '../../src/vfio-user/protocol/structures/index.ts';
import { acmeInstance, At } from '../mdev/support/acme.ts';
import { FACES, openFace } from './support/faces.ts';

const CONFIG = 7;
const PAGE = 4096n;
const all = { iova: 0n, size: 8n * PAGE };

/** The bitmap of all pages, as LOGGING_REPORT gives it. */
async function report(vmm: VfioDevice): Promise<bigint> {
  const data = encodeDmaLoggingReport({ ...all, pageSize: PAGE });
  const reply = await vmm.feature({
    index: DeviceFeature.dmaLoggingReport,
    get: true,
    data,
    replySize: data.length + 8,
  });
  expect(reply.subarray(0, data.length)).toEqual(data);
  return new DataView(reply.buffer, reply.byteOffset + data.length, 8).getBigUint64(0, true);
}

describe.each(FACES)('features of a device %s', (face) => {
  it('log dirty pages', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    const file = memoryFile(Number(all.size));
    await vmm.dmaMap({ ...all, file });
    await context.dma.write(0n, new Uint8Array(8));
    const start = encodeDmaLoggingStart({ pageSize: PAGE, ranges: [all] });
    const started = await vmm.feature({ index: DeviceFeature.dmaLoggingStart, set: true, data: start });
    expect(started).toEqual(start);
    await context.dma.write(PAGE + 8n, new Uint8Array(8));
    await context.dma.write(7n * PAGE - 1n, new Uint8Array(2));
    expect(await report(vmm)).toBe(0b1100_0010n);
    expect(await report(vmm)).toBe(0n);
    await context.dma.write(3n * PAGE, new Uint8Array(1));
    expect(await vmm.dmaUnmapDirty(all, PAGE)).toEqual(longs(0b1000n));
    expect(await vmm.feature({ index: DeviceFeature.dmaLoggingStop, set: true })).toEqual(new Uint8Array(0));
    await expect(report(vmm)).rejects.toMatchObject({ code: 'EINVAL' });
    file.close();
  });

  it('log dirty pages by requests of their own', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    const file = memoryFile(Number(all.size));
    await vmm.dmaMap({ ...all, file });
    await expect(vmm.dmaLoggingReport(all, PAGE)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(await vmm.dmaLoggingStart(PAGE / 2n, [all])).toBe(PAGE);
    await context.dma.write(PAGE + 8n, new Uint8Array(8));
    await context.dma.write(7n * PAGE - 1n, new Uint8Array(2));
    expect(await vmm.dmaLoggingReport(all, PAGE)).toEqual(longs(0b1100_0010n));
    expect(await vmm.dmaLoggingReport(all, PAGE)).toEqual(longs(0n));
    await context.dma.write(3n * PAGE, new Uint8Array(1));
    expect(await vmm.dmaLoggingReport({ iova: 2n * PAGE, size: 4n * PAGE }, 2n * PAGE)).toEqual(longs(1n));
    for (const [range, pageSize, code] of [
      [all, 0n, 'EINVAL'],
      [all, 3n * PAGE, 'EINVAL'],
      [{ iova: 0n, size: 0n }, PAGE, 'EINVAL'],
      [{ iova: 0n, size: 1n << 50n }, PAGE, 'EINVAL'],
      [{ iova: -1n, size: PAGE }, PAGE, 'EINVAL'],
      [{ iova: 8n * PAGE, size: PAGE }, PAGE, 'ENOENT'],
    ] as const) {
      await expect(vmm.dmaLoggingReport(range, pageSize)).rejects.toMatchObject({ name: 'VfioError', code });
    }
    await expect(vmm.dmaLoggingStart(-1n)).rejects.toMatchObject({ name: 'VfioError', code: 'EINVAL' });
    await vmm.dmaLoggingStop();
    await vmm.dmaLoggingStop();
    expect(await vmm.dmaLoggingStart(PAGE)).toBe(PAGE);
    await context.dma.write(5n * PAGE, new Uint8Array(1));
    expect(await vmm.dmaLoggingReport(all, PAGE)).toEqual(longs(0b10_0000n));
    file.close();
  });

  it('can be probed, and are refused by the rules of the kernel', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    const { dmaLoggingReport, dmaLoggingStart, migration } = DeviceFeature;
    expect(await vmm.feature({ index: dmaLoggingStart, probe: true, set: true })).toEqual(new Uint8Array(0));
    for (const [code, request] of [
      ['ENOTTY', { index: 999, get: true }],
      ['ENOTTY', { index: migration, probe: true, get: true }],
      ['EINVAL', { index: dmaLoggingStart, probe: true, get: true }],
      ['EINVAL', { index: dmaLoggingStart, get: true }],
      ['EINVAL', { index: dmaLoggingStart, set: true }],
      ['EINVAL', { index: dmaLoggingReport }],
      ['EINVAL', { index: dmaLoggingReport, get: true, set: true }],
      ['EINVAL', { index: 65_536, get: true }],
    ] as const) {
      await expect(vmm.feature(request)).rejects.toMatchObject({ name: 'VfioError', code });
    }
  });
});
