import { describe, expect, it } from 'vitest';

import { VfioError, VfioIrq } from '../../src/mdev/index.ts';
import { coreOf } from '../../src/native/device-handle.ts';
import { eventfd, memoryFile } from '../../src/vfio-user/index.ts';
import { acmeInstance, At, VECTORS } from '../mdev/support/acme.ts';
import { until } from './support/bench.ts';
import { FACES, openFace } from './support/faces.ts';
import { fillFiles } from './support/fill-files.ts';

const CONFIG = 7;

describe.each(FACES)('a device %s', (face) => {
  it('says what it is', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    expect(await vmm.info()).toEqual({ flags: 3, regions: 9, irqs: 5 });
    expect(await vmm.regionInfo(0)).toMatchObject({ index: 0, size: 0x1000, flags: 3 });
    expect(await vmm.regionInfo(5)).toMatchObject({ index: 5, size: 0, flags: 0 });
    expect(await vmm.irqInfo(VfioIrq.msix)).toEqual({ index: 2, count: VECTORS, flags: 1 });
  });

  it('has registers, memory, interrupts and a reset', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    await vmm.writeRegister(0, At.control, 4, 0x21);
    await vmm.writeRegister64(0, At.source, 0x1234_5678_9abc_def0n, { posted: true });
    expect(await vmm.readRegister(0, At.control, 4)).toBe(0x21);
    expect(await vmm.readRegister64(0, At.source)).toBe(0x1234_5678_9abc_def0n);

    const file = memoryFile(0x2000);
    await vmm.dmaMap({ iova: 0x10_0000n, size: 0x2000n, file });
    await context.dma.write(0x10_0ffen, Uint8Array.of(1, 2, 3, 4));
    expect([...new Uint8Array(file.buffer, 0xffe, 4)]).toEqual([1, 2, 3, 4]);
    await vmm.dmaUnmap({ iova: 0x10_0000n, size: 0x2000n });
    await expect(context.dma.write(0x10_0000n, new Uint8Array(1))).rejects.toMatchObject({ code: 'EFAULT' });
    file.close();

    const lines = Array.from({ length: VECTORS }, () => eventfd());
    const eventfds = lines.map(({ fd }, index) => (index === 1 ? -1 : fd));
    await vmm.setIrqs({ index: VfioIrq.msix, eventfds });
    await vmm.setIrqs({ index: VfioIrq.msix, start: 0, booleans: [true, true, false] });
    expect(lines.map((line) => line.read())).toEqual([1, 0, 0]);
    await vmm.setIrqs({ index: VfioIrq.msix, eventfds: [], start: 0, count: 1 });
    await vmm.setIrqs({ index: VfioIrq.msix, count: VECTORS });
    expect(lines.map((line) => line.read())).toEqual([0, 0, 1]);
    for (const line of lines) line.close();

    await vmm.reset();
    await vmm.writeRegister(CONFIG, At.command, 2, 2);
    expect(await vmm.readRegister(0, At.control, 4)).toBe(0x10);
  });

  it('calls back for a vector, until its line is closed', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    let fired = 0;
    const line = await vmm.onIrq(VfioIrq.msix, 1, (count) => (fired += count));
    await vmm.setIrqs({ index: VfioIrq.msix, start: 1, count: 1 });
    await until(() => fired === 1, 'the first call');
    coreOf(device.handle).triggerIrq(VfioIrq.msix, 1);
    coreOf(device.handle).triggerIrq(VfioIrq.msix, 0);
    await until(() => fired === 2, 'the second call');
    await line.close();
    await line.close();
    await vmm.setIrqs({ index: VfioIrq.msix, start: 1, count: 1 });
    await vmm.info();
    expect(fired).toBe(2);
    await expect(vmm.onIrq(VfioIrq.msix, VECTORS, () => undefined)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('keeps a line when an older one of its vector is closed', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    let fired = 0;
    const older = await vmm.onIrq(VfioIrq.msix, 1, () => undefined);
    await using _newer = await vmm.onIrq(VfioIrq.msix, 1, (count) => (fired += count));
    await older.close();
    await vmm.setIrqs({ index: VfioIrq.msix, start: 1, count: 1 });
    await until(() => fired === 1, 'the newer line');
  });

  it('says so when there is no file descriptor for a line', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.info();
    let error: unknown;
    {
      using _files = fillFiles(0);
      error = await vmm.onIrq(VfioIrq.msix, 1, () => undefined).catch((caught: unknown) => caught);
    }
    expect(error).toMatchObject({ name: 'VfioError', code: 'EMFILE' });
  });

  it('refuses with the same error', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    const map = { iova: 0n, size: 0x1000n };
    await vmm.dmaMap(map);
    const refused: [string, string, () => Promise<unknown>][] = [
      ['deviceGetRegionInfo', 'EINVAL', () => vmm.regionInfo(9)],
      ['deviceGetIrqInfo', 'EINVAL', () => vmm.irqInfo(5)],
      ['regionRead', 'EIO', () => vmm.readRegion(0, 0, 4)],
      ['regionRead', 'EINVAL', () => vmm.readRegion(CONFIG, 4095, 2)],
      ['regionRead', 'EINVAL', () => vmm.readRegion(CONFIG, 0, 100_000)],
      ['regionRead', 'EINVAL', () => vmm.readRegion(77, 0, 1)],
      ['regionWrite', 'EINVAL', () => vmm.writeRegion(5, 0, new Uint8Array(1))],
      ['deviceSetIrqs', 'EINVAL', () => vmm.setIrqs({ index: VfioIrq.msix, start: VECTORS, count: 1 })],
      ['deviceSetIrqs', 'EINVAL', () => vmm.setIrqs({ index: 9, eventfds: [] })],
      ['dmaMap', 'EEXIST', () => vmm.dmaMap({ iova: 0n, size: 0x2000n })],
      ['dmaMap', 'EINVAL', () => vmm.dmaMap({ iova: 1n, size: 0x1000n })],
      ['dmaUnmap', 'ENOENT', () => vmm.dmaUnmap({ iova: 0x10_0000n, size: 0x1000n })],
    ];
    for (const [request, code, act] of refused) {
      const error: unknown = await act().catch((caught: unknown) => caught);
      expect(error, request).toBeInstanceOf(VfioError);
      expect(error).toMatchObject({ request, code, message: `${request} was refused with ${code}` });
    }
    // Nobody waits for an answer.
    await vmm.writeRegion(5, 0, new Uint8Array(1), { posted: true });
  });

  it('says which argument no request can carry', async () => {
    const { device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    const wrong: [string, () => Promise<unknown>][] = [
      ['deviceGetRegionInfo: the index is -1; expected an integer from 0 to 4294967295', () => vmm.regionInfo(-1)],
      ['deviceGetIrqInfo: the index is 0.5; expected an integer from 0 to 4294967295', () => vmm.irqInfo(0.5)],
      ['regionRead: the offset is -4; expected an integer from 0 to 9007199254740991', () => vmm.readRegion(0, -4, 4)],
      ['regionRead: the count is NaN; expected an integer from 0 to 4294967295', () => vmm.readRegion(0, 0, NaN)],
      [
        'dmaMap: access is x; expected r, w or rw',
        () => vmm.dmaMap({ iova: 0n, size: 4096n, access: 'x' as unknown as 'r' }),
      ],
      ['dmaMap: iova is -1; expected 0 to 2^64 - 1', () => vmm.dmaMap({ iova: -1n, size: 4096n })],
      [
        'dmaUnmap: size is 18446744073709551616; expected 0 to 2^64 - 1',
        () => vmm.dmaUnmap({ iova: 0n, size: 2n ** 64n }),
      ],
      ['deviceSetIrqs: an eventfd is -2; expected -1 or more', () => vmm.setIrqs({ index: 2, eventfds: [-2] })],
      [
        'deviceSetIrqs: count is 2, and there are 1 booleans',
        () => vmm.setIrqs({ index: 2, count: 2, booleans: [true] }),
      ],
    ];
    for (const [message, act] of wrong) {
      await expect(act()).rejects.toMatchObject({ name: 'VfioError', code: 'EINVAL', message });
    }
  });

  it('is let go of by its end', async () => {
    const { device } = await acmeInstance();
    const vmm = await openFace(face, device);
    expect(device.state).toBe('running');
    await vmm.close();
    await vmm.close();
    await until(() => device.attachment === undefined, 'letting go');
    await expect(vmm.info()).rejects.toMatchObject({
      name: 'VfioError',
      code: expect.stringMatching(/^(ENODEV|ECONNRESET)$/) as string,
    });
  });
});
