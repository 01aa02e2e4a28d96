import { describe, expect, it } from 'vitest';

import { acmeInstance, At } from '../mdev/support/acme.ts';
import { FACES, openFace } from './support/faces.ts';

const CONFIG = 7;
const IOVA = 0x10_0000n;

describe.each(FACES)('memory without a file, of a VMM %s', (face) => {
  it('is read and written by message, with its rights', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    const memory = new Uint8Array(0x3_0000);
    const readOnly = new Uint8Array(0x1000).fill(5);
    await vmm.dmaMap({ iova: IOVA, memory });
    await vmm.dmaMap({ iova: IOVA + 0x3_0000n, memory: readOnly, access: 'r' });
    // More than one request, across both.
    const data = Uint8Array.from({ length: 0x2_8000 }, (_, index) => (index * 7) & 0xff);
    await context.dma.write(IOVA + 0x8000n, data);
    expect(memory.subarray(0x8000)).toEqual(data);
    const read = new Uint8Array(0x1_1000);
    await context.dma.read(IOVA + 0x2_0000n, read);
    expect(read.subarray(0, 0x1_0000)).toEqual(memory.subarray(0x2_0000));
    expect(read.subarray(0x1_0000)).toEqual(readOnly);
    await expect(context.dma.write(IOVA + 0x3_0000n, new Uint8Array(1))).rejects.toMatchObject({ code: 'EFAULT' });
    await vmm.dmaUnmap({ iova: IOVA, size: 0x3_0000n });
    await expect(context.dma.read(IOVA, new Uint8Array(1))).rejects.toMatchObject({ code: 'EFAULT' });
    await device.close();
  });

  it('that nobody answers for is not there', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    await vmm.dmaMap({ iova: IOVA, size: 0x1000n });
    await expect(context.dma.read(IOVA, new Uint8Array(8))).rejects.toMatchObject({ code: 'EFAULT' });
    await device.close();
  });

  it('ends what is under way when it goes', async () => {
    const { context, device } = await acmeInstance();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(CONFIG, At.command, 2, 6);
    await vmm.dmaMap({ iova: IOVA, memory: new Uint8Array(0x1000) });
    const reading = expect(context.dma.read(IOVA, new Uint8Array(8))).rejects.toMatchObject({ code: 'ECANCELED' });
    await vmm.dmaUnmapAll();
    await reading;
    await vmm.dmaMap({ iova: IOVA, memory: new Uint8Array(0x1000).fill(3) });
    const again = new Uint8Array(2);
    await context.dma.read(IOVA, again);
    expect([...again]).toEqual([3, 3]);
    const last = expect(context.dma.read(IOVA, again)).rejects.toMatchObject({ code: 'ECANCELED' });
    await device.close();
    await last;
  });
});
