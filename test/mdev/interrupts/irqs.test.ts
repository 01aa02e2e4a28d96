import { describe, expect, test } from 'vitest';

import { acmeDevice, acmeInstance, At, VECTORS } from '../support/acme.ts';
import { CONFIG, Guest, MSIX, SET_EVENTFDS } from '../support/guest.ts';

const EINVAL = 22;

describe('interrupts', () => {
  test('the function mask holds them back and shows them in the pending bits', async () => {
    const { device, context } = await acmeInstance();
    const guest = new Guest(device);
    const fds = guest.enableMsix(VECTORS);
    guest.write16(At.msixMessageControl, 0xc000, CONFIG);
    context.irqs.msix.trigger(1);
    expect([fds[1]?.read(), guest.read64(At.pending)]).toEqual([0, 2n]);
    guest.write16(At.msixMessageControl, 0x8000, CONFIG);
    expect([fds[1]?.read(), guest.read64(At.pending)]).toEqual([1, 0n]);
    expect(context.irqs.msix.count).toBe(VECTORS);
    for (const vector of [-1, VECTORS, 0.5]) {
      expect(() => {
        context.irqs.msix.trigger(vector);
      }).toThrow(/MSI-X vector .*; the device has 3/);
    }
  });

  test('entry masks are storage where the client owns the table, and count where the device does', async () => {
    for (const msixOwner of ['client', 'device'] as const) {
      const { device, context } = await acmeInstance(undefined, { msixOwner });
      const guest = new Guest(device);
      const [fd] = guest.enableMsix(1);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      context.irqs.msix.trigger(0);
      expect(guest.read32(At.msixControl(0))).toBe(1);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 1 : 0);
      guest.write64(0x800, 0x1_fee0_1000n);
      guest.write32(0x808, 0x4021);
      guest.write32(At.msixControl(0), 0);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 0 : 1);
      expect(guest.session.sync.msixMessage(0)).toEqual({ address: 0x1_fee0_1000n, data: 0x4021, masked: false });
      expect(() => guest.session.sync.msixMessage(VECTORS)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      guest.session.sync.reset();
      context.irqs.msix.trigger(0);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 1 : 0);
      guest.write16(At.command, 6, CONFIG);
      guest.write32(At.msixControl(0), 0);
      expect(fd?.read()).toBe(0);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 0 : 1);
      guest.write16(At.msixMessageControl, 0, CONFIG);
      context.irqs.msix.trigger(0);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 1 : 0);
    }
  });

  test('a holder that is asked to let go gets REQ', async () => {
    const device = await acmeDevice();
    const guest = new Guest(device);
    const [fd] = guest.enableMsix(1);
    expect(guest.setIrqs({ flags: SET_EVENTFDS, index: 4, start: 0, count: 1, fds: [fd?.fd ?? -1] })).toBe(0);
    const released = device.requestRelease();
    expect(fd?.read()).toBe(1);
    guest.close();
    await released;
  });

  test('SET_IRQS by VFIO rules', async () => {
    const guest = new Guest(await acmeDevice());
    expect(guest.setIrqs({ flags: SET_EVENTFDS, index: MSIX, start: 0, count: 4, fds: [] })).toBe(EINVAL);
    expect(guest.setIrqs({ flags: SET_EVENTFDS, index: 5, start: 0, count: 1, fds: [] })).toBe(EINVAL);
  });
});
