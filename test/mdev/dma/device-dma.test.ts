import { describe, expect, test } from 'vitest';

import { memoryFile } from '../../../src/native/binding.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { acmeInstance, type AcmeContext, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

describe('guest memory', () => {
  async function withMemory(): Promise<{ guest: Guest; context: AcmeContext; bytes: Uint8Array; close: () => void }> {
    const { device, context } = await acmeInstance();
    const guest = new Guest(device);
    const memory = memoryFile(0x40_0000);
    for (const [iova, offset] of [
      [0x10_0000n, 0n],
      [0x30_0000n, 0x20_0000n],
    ] as const) {
      const map = { iova, size: 0x20_0000n, readable: true, writable: true, fd: memory.fd, offset };
      expect(guest.dmaMap(map)).toBe(0);
    }
    return {
      guest,
      context,
      bytes: new Uint8Array(memory.buffer),
      close: () => {
        memory.close();
      },
    };
  }

  test('is copied in pieces across maps', async () => {
    const { context, bytes, close } = await withMemory();
    const data = Uint8Array.from({ length: 300_001 }, (_, index) => (index * 31) % 251);
    const at = 0x2f_0000n;
    await context.dma.write(at, data);
    expect(Buffer.compare(bytes.subarray(0x1f_0000, 0x1f_0000 + data.length), data)).toBe(0);
    const back = new Uint8Array(data.length);
    await context.dma.read(at, back);
    expect(Buffer.compare(back, data)).toBe(0);
    await context.dma.copy(at, 0x10_0000n, data.length);
    expect(Buffer.compare(bytes.subarray(0, data.length), data)).toBe(0);
    close();
  });

  test('leaves the event loop its turns, and a transfer its end by signal', async () => {
    const { context, close } = await withMemory();
    let turns = 0;
    let last = false;
    const turn = (): void => {
      turns += 1;
      if (!last) setImmediate(turn);
    };
    setImmediate(turn);
    await context.dma.copy(0x10_0000n, 0x30_0000n, 0x20_0000);
    // Two transfers of 2 MiB, and a turn after each 256 KiB.
    expect(turns).toBeGreaterThanOrEqual(14);
    last = true;

    const controller = new AbortController();
    const reason = new Error('enough');
    setImmediate(() => {
      controller.abort(reason);
    });
    const transfer = context.dma.copy(0x10_0000n, 0x30_0000n, 0x20_0000, { signal: controller.signal });
    await expect(transfer).rejects.toBe(reason);
    close();
  });

  test('of a client that has left is not gone on with in that of the next one', async () => {
    const { guest, context, close } = await withMemory();
    const transfer = context.dma.copy(0x10_0000n, 0x30_0000n, 0x20_0000);
    const ended = expect(transfer).rejects.toMatchObject({ code: 'ECANCELED' });
    const closed = guest.session.close();
    guest[Symbol.dispose]();
    await closed;
    const next = new Guest(guest.device);
    const memory = memoryFile(0x40_0000);
    const map = { iova: 0x10_0000n, size: 0x40_0000n, readable: true, writable: true, fd: memory.fd, offset: 0n };
    new Uint8Array(memory.buffer).fill(7, 0, 0x20_0000);
    expect(next.dmaMap(map)).toBe(0);
    await ended;
    expect(new Uint8Array(memory.buffer, 0x20_0000).every((byte) => byte === 0)).toBe(true);
    next[Symbol.dispose]();
    memory.close();
    close();
  });

  test('is out of reach outside of maps, beyond 64 bits, without bus master, and after unmap', async () => {
    const { guest, context, close } = await withMemory();
    const bytes = new Uint8Array(16);
    const code = (error: string): unknown => expect.objectContaining({ name: 'MdevError', code: error });
    await expect(context.dma.read(0xf_fff8n, bytes)).rejects.toThrow(code('EFAULT'));
    await expect(context.dma.write(0x4f_fff8n, bytes)).rejects.toThrow(code('EFAULT'));
    await expect(context.dma.write(0xffff_ffff_ffff_fff8n, bytes)).rejects.toThrow(code('EINVAL'));
    await expect(context.dma.read(-1n, bytes)).rejects.toThrow(code('EINVAL'));
    guest.write16(At.command, 2, CONFIG);
    expect(context.busMaster).toBe(false);
    await expect(context.dma.read(0x10_0000n, bytes)).rejects.toThrow(code('EFAULT'));
    guest.write16(At.command, 6, CONFIG);
    expect(context.busMaster).toBe(true);
    await context.dma.read(0x10_0000n, bytes);
    expect(guest.dmaUnmap(0x10_0000n, 0x20_0000n)).toBe(0);
    await expect(context.dma.read(0x10_0000n, bytes)).rejects.toThrow(code('EFAULT'));
    await context.dma.read(0x30_0000n, bytes);
    close();
  });

  test('ends with the instance and with a signal', async () => {
    const { context, close, guest } = await withMemory();
    const bytes = new Uint8Array(16);
    const reason = new Error('enough');
    await expect(context.dma.read(0x10_0000n, bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    guest.close();
    await guest.device.close();
    await expect(context.dma.read(0x10_0000n, bytes)).rejects.toMatchObject({ code: 'ECANCELED' });
    close();
  });
});

describe('guest memory without a file', () => {
  test('is asked for map by map: not beyond it, and not where there is a file or no right', async () => {
    const { device, context } = await acmeInstance();
    const [near, far] = socketPair();
    await using server = serve(device, { fd: far });
    const client = await connect({ fd: near });
    const file = memoryFile(0x1000);
    const plain = new Uint8Array(0x2000);
    await client.dmaMap({ iova: 0x1000n, memory: plain.subarray(0, 0x1000) });
    await client.dmaMap({ iova: 0x2000n, size: 0x1000n, file });
    await client.dmaMap({ iova: 0x3000n, memory: plain.subarray(0x1000), access: 'r' });
    await client.writeRegister(CONFIG, At.command, 2, 6);
    const data = Uint8Array.from({ length: 0x1000 }, (_, index) => (index * 7) % 251);
    await context.dma.write(0x1800n, data);
    expect([plain.slice(0x800, 0x1000), new Uint8Array(file.buffer, 0, 0x800)]).toEqual([
      data.slice(0, 0x800),
      data.slice(0x800),
    ]);
    plain.fill(0x5a, 0x1000);
    const back = new Uint8Array(0x2000);
    await context.dma.read(0x1800n, back);
    expect([back.slice(0, 0x1000), back.slice(0x1800)]).toEqual([data, new Uint8Array(0x800).fill(0x5a)]);
    await expect(context.dma.write(0x2ff8n, data.subarray(0, 16))).rejects.toMatchObject({ code: 'EFAULT' });
    await expect(context.dma.read(0x3ff8n, back)).rejects.toMatchObject({ code: 'EFAULT' });
    await client.close();
    await server.closed;
    await device.close();
    file.close();
  });

  test('is reached by message to the client, in pieces, and not any more when the client has left', async () => {
    const { device, context } = await acmeInstance();
    const [near, far] = socketPair();
    await using server = serve(device, { fd: far });
    const client = await connect({ fd: near });
    expect([device.state, device.attachment?.holder.name]).toEqual(['running', expect.stringContaining('vfio-user')]);
    const memory = new Uint8Array(0x40_000);
    await client.dmaMap({ iova: 0x10_0000n, memory });
    await client.writeRegister(CONFIG, At.command, 2, 6);

    const data = Uint8Array.from({ length: 150_000 }, (_, index) => (index * 7) % 253);
    await context.dma.write(0x10_0800n, data);
    expect(Buffer.compare(memory.subarray(0x800, 0x800 + data.length), data)).toBe(0);
    const back = new Uint8Array(data.length);
    await context.dma.read(0x10_0800n, back);
    expect(Buffer.compare(back, data)).toBe(0);

    // Asked for, and not answered any more.
    const late = context.dma.read(0x10_0800n, back);
    const expectation = expect(late).rejects.toMatchObject({
      code: expect.stringMatching(/^(ECANCELED|EFAULT)$/) as string,
    });
    await client.close();
    await expectation;
    await server.closed;
    expect(device.state).toBe('created');
    await expect(context.dma.read(0x10_0800n, back)).rejects.toMatchObject({ code: 'EFAULT' });
    await device.close();
  });
});
