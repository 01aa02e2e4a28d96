import { describe, expect, test } from 'vitest';

import { memoryFile } from '../../../src/native/binding.ts';
import { acmeDevice, acmeInstance, At, VECTORS } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

describe('one client at a time', () => {
  test('the second is told who holds the instance', async () => {
    const device = await acmeDevice();
    const first = device.attach({ name: 'qemu of vm 7' });
    expect(device.state).toBe('attached');
    expect(() => device.open({ name: 'other' })).toThrow(
      expect.objectContaining({
        code: 'EBUSY',
        message: `instance ${device.uuid} (acme0, channel) is held by qemu of vm 7 since ${first.since.toISOString()}`,
      }),
    );
    first.start();
    expect(device.state).toBe('running');
    first.detach();
    first.detach();
    expect([device.state, first.active]).toEqual(['created', false]);
    using session = device.open({ name: 'other' });
    expect(device.attachment?.holder.name).toBe('other');
    first.start();
    first.detach();
    expect(session.sync.readRegion(CONFIG, 0, 4)).toHaveLength(4);
  });

  test('its eventfds and memory go with it, the registers stay, and what is raised meanwhile is latched', async () => {
    const { device, context } = await acmeInstance();
    const trigger = (): void => {
      context.irqs.msix.trigger(1);
    };
    const first = new Guest(device);
    const old = first.enableMsix(VECTORS);
    const memory = memoryFile(0x1000);
    const map = { iova: 0n, size: 0x1000n, readable: true, writable: true, fd: memory.fd, offset: 0n };
    expect(first.dmaMap(map)).toBe(0);
    first.write32(At.control, 0x31);
    first.close();

    trigger();
    expect(old[1]?.read()).toBe(0);
    await expect(context.dma.read(0n, new Uint8Array(16))).rejects.toMatchObject({ code: 'EFAULT' });

    const second = new Guest(device);
    expect(second.read32(At.control)).toBe(0x31);
    expect(second.enableMsix(VECTORS)[1]?.read()).toBe(1);
    expect(second.dmaMap(map)).toBe(0);
    memory.close();
  });

  test('a session that has ended throws', async () => {
    const device = await acmeDevice();
    const guest = new Guest(device);
    guest.close();
    for (const use of [
      () => guest.session.info(),
      () => guest.session.regionInfo(0),
      () => guest.session.irqInfo(0),
      () => guest.session.readRegion(0, 0, 1),
      () => guest.session.readRegion(0, 0, 0x10_0000),
      () => guest.session.writeRegion(0, 0, new Uint8Array(1)),
      () => guest.session.writeRegion(0, 0, new Uint8Array(1), { posted: true }),
      () => guest.session.setIrqs({ index: 2 }),
      () => guest.session.dmaMap({ iova: 0n, size: 4096n }),
      () => guest.session.dmaUnmap({ iova: 0n, size: 4096n }),
      () => guest.session.dmaUnmapAll(),
      () => guest.session.reset(),
    ]) {
      await expect(use()).rejects.toMatchObject({ name: 'VfioError', code: 'ENODEV', errno: 19 });
    }
    expect(() => guest.session.sync.msixMessage(0)).toThrow(expect.objectContaining({ code: 'ENODEV' }));
    await guest.session.close();
  });
});
