import { describe, expect, test, vi } from 'vitest';

import { memoryFile } from '../../../src/native/binding.ts';
import { acmeDevice, acmeInstance, acmeRegisters, At, VECTORS } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

describe('quiesce, freeze and recover', () => {
  test('quiesce and resume call the behaviour', async () => {
    const log: string[] = [];
    const device = await acmeDevice(() => ({
      quiesce: () => {
        log.push('quiesce');
        return Promise.resolve();
      },
      resume: () => log.push('resume'),
    }));
    await expect(device.quiesce()).rejects.toMatchObject({ code: 'EBUSY' });
    const session = device.open({ name: 'vmm' });
    await device.quiesce();
    expect(device.state).toBe('quiesced');
    device.resume();
    expect(device.state).toBe('running');
    await device.quiesce();
    session.sync.close();
    expect([device.state, log]).toEqual(['created', ['quiesce', 'resume', 'quiesce', 'resume']]);
    expect(() => {
      device.resume();
    }).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  });

  test('a client that leaves while its instance is being quiesced leaves it going on', async () => {
    const log: string[] = [];
    let paused = (): void => undefined;
    const device = await acmeDevice(() => ({
      quiesce: () =>
        new Promise<void>((resolve) => {
          paused = resolve;
        }),
      resume: () => log.push('resume'),
    }));
    const session = device.open({ name: 'vmm' });
    const quiesced = device.quiesce();
    await expect(device.quiesce()).rejects.toMatchObject({ code: 'EBUSY' });
    session.sync.close();
    paused();
    await expect(quiesced).rejects.toMatchObject({ code: 'EBUSY' });
    expect([device.state, log]).toEqual(['created', ['resume']]);
  });

  test('a behaviour that cannot pause, or go on, fails the instance', async () => {
    const stuck = new Error('stuck');
    const pausing = await acmeDevice(() => ({ quiesce: () => Promise.reject(stuck) }));
    pausing.open({ name: 'vmm' });
    await expect(pausing.quiesce()).rejects.toMatchObject({ code: 'EIO', cause: stuck });
    expect([pausing.state, pausing.failure?.path]).toEqual(['failed', 'quiesce']);
    const resuming = await acmeDevice(() => ({
      quiesce: () => Promise.resolve(),
      resume: () => {
        throw stuck;
      },
    }));
    resuming.open({ name: 'vmm' });
    await resuming.quiesce();
    expect(() => {
      resuming.resume();
    }).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(resuming.state).toBe('failed');
  });

  test('a type without quiesce says so', async () => {
    const device = await acmeDevice();
    device.open({ name: 'vmm' });
    await expect(device.quiesce()).rejects.toMatchObject({ code: 'ENOTTY' });
  });

  test('a frozen instance reads all ones until a reset mends it', async () => {
    const { device, context } = await acmeInstance();
    const frozen: string[] = [];
    device.on('frozen', ({ error }) => frozen.push(String(error)));
    const guest = new Guest(device);
    context.freeze(new Error('parity'));
    expect([device.state, frozen]).toEqual(['frozen', ['Error: parity']]);
    expect(guest.read32(At.version)).toBe(0xffff_ffff);
    guest.write32(At.control, 1);
    expect(() => device.attach({ name: 'other' })).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    guest.session.sync.reset();
    expect([device.state, device.failure]).toEqual(['running', undefined]);
    guest.write16(At.command, 6, CONFIG);
    expect(guest.read32(At.control)).toBe(0x10);
    guest.close();
    context.freeze(new Error('parity'));
    device.reset();
    expect(device.state).toBe('created');
  });
});

test('every transition is told', async () => {
  const device = await acmeDevice();
  const told: string[] = [];
  device.on('state', ({ from, to, transition }) => told.push(`${from} -${transition}-> ${to}`));
  device.open({ name: 'vmm' }).sync.close();
  await device.close();
  await device.close();
  expect(told).toEqual([
    'created -attach-> attached',
    'attached -start-> running',
    'running -detach-> created',
    'created -close-> closed',
  ]);
  expect(() => device.attach({ name: 'late' })).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  expect(() => {
    device.reset();
  }).toThrow(expect.objectContaining({ code: 'ENODEV' }));
});

test('a listener that throws does not disturb the device', async () => {
  const device = await acmeDevice();
  const uncaught = new Promise<unknown>((resolve) => {
    vi.stubGlobal('queueMicrotask', (action: () => void) => {
      try {
        action();
      } catch (error) {
        resolve(error);
      }
    });
  });
  try {
    device.on('state', () => {
      throw new Error('listener');
    });
    device.open({ name: 'vmm' });
    expect(device.state).toBe('running');
    expect(await uncaught).toEqual(new Error('listener'));
  } finally {
    vi.unstubAllGlobals();
  }
});

test('describe tells identity, BARs, capabilities and register values', async () => {
  const device = await acmeDevice();
  const guest = new Guest(device);
  guest.write32(0x10, 0xfe00_0000, CONFIG);
  guest.write32(0x14, 0x1, CONFIG);
  guest.write32(At.control, 0x31);
  const description = device.describe();
  expect(description).toMatchObject({
    uuid: device.uuid,
    parent: 'acme0',
    type: 'channel',
    state: 'running',
    attributes: { lanes: 2 },
    bars: [
      { name: 'bar0', index: 0, kind: 'mmio', size: 0x1000, width: 64, prefetchable: false, address: 0x1_fe00_0000n },
      { name: 'bar2', index: 2, kind: 'portal', size: 0x4000, width: 64, prefetchable: false, address: 0n },
    ],
    capabilities: [
      { name: 'PCIE', id: 0x10, offset: 0x40 },
      { name: 'MSIX', id: 0x11, offset: 0x80 },
      { name: 'PM', id: 0x01, offset: 0x90 },
    ],
    configSpaceSize: 4096,
  });
  const value = (
    rows: readonly { readonly path: string; readonly current: bigint | undefined }[],
    path: string,
  ): unknown => rows.find((row) => row.path === path)?.current;
  expect(value(description.configSpace, 'COMMAND')).toBe(6n);
  expect(value(description.registers.bar0 ?? [], 'CONTROL')).toBe(0x31n);
  expect(description.registers.bar0).toHaveLength(
    Object.keys(acmeRegisters.registers).length - 3 + 8 + 4 * VECTORS + 1,
  );
});

test('a listener that is told of the close may ask for it too', async () => {
  const device = await acmeDevice();
  const asked: Promise<void>[] = [];
  device.on('state', () => asked.push(device.close()));
  await device.close();
  await Promise.all(asked);
  expect([device.state, asked.length]).toEqual(['closed', 1]);
});

test('a platform that enforces no bus master has it always, and the behaviour hears nothing of it', async () => {
  const log: boolean[] = [];
  const { device, context } = await acmeInstance(() => ({ busMaster: (enabled) => log.push(enabled) }), {
    enforceBusMaster: false,
  });
  const guest = new Guest(device, { command: 2 });
  guest.write16(At.command, 6, CONFIG);
  guest.write16(At.command, 2, CONFIG);
  expect([context.busMaster, log]).toEqual([true, []]);
  const memory = memoryFile(0x1000);
  const map = { iova: 0n, size: 0x1000n, readable: true, writable: true, fd: memory.fd, offset: 0n };
  expect(guest.dmaMap(map)).toBe(0);
  await context.dma.write(8n, new Uint8Array([1]));
  context.freeze(new Error('parity'));
  await expect(context.dma.write(8n, new Uint8Array([2]))).rejects.toMatchObject({ code: 'EFAULT' });
  guest.session.sync.reset();
  await context.dma.write(8n, new Uint8Array([3]));
  expect(new Uint8Array(memory.buffer)[8]).toBe(3);
  memory.close();
});

test('a cold reset takes what a function reset keeps', async () => {
  const kinds: string[] = [];
  const { device } = await acmeInstance(() => ({ reset: (kind) => kinds.push(kind) }));
  const guest = new Guest(device);
  guest.write32(At.kept, 7);
  device.reset();
  guest.write16(At.command, 2, CONFIG);
  expect(guest.read32(At.kept)).toBe(7);
  device.reset('cold');
  guest.write16(At.command, 2, CONFIG);
  expect([guest.read32(At.kept), kinds]).toEqual([0, ['function', 'cold']]);
});
