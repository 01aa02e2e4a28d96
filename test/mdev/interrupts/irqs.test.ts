import { describe, expect, test, vi } from 'vitest';

import type { DeviceSession } from '../../../src/mdev/index.ts';
import { type EventFd, eventfd } from '../../../src/native/binding.ts';
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
      expect(fd?.read()).toBe(0);
      guest.write16(At.command, 6, CONFIG);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 1 : 0);
      guest.write32(At.msixControl(0), 0);
      expect(fd?.read()).toBe(0);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 0 : 1);
      guest.write16(At.msixMessageControl, 0, CONFIG);
      context.irqs.msix.trigger(0);
      expect(fd?.read()).toBe(msixOwner === 'client' ? 1 : 0);
    }
  });

  test.each(['client', 'device'] as const)(
    'without bus master, and outside of D0, messages wait: the table is the %s’s',
    async (msixOwner) => {
      const { device, context } = await acmeInstance(undefined, { msixOwner });
      const guest = new Guest(device);
      const [fd] = guest.enableMsix(1);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      guest.write32(At.msixControl(0), 0);
      const off = [
        [At.command, 2, 6],
        [At.powerControl, 3, 0],
      ] as const;
      for (const [register, without, back] of off) {
        context.irqs.msix.trigger(0);
        expect(fd?.read()).toBe(1);
        guest.write16(register, without, CONFIG);
        context.irqs.msix.trigger(0);
        context.irqs.msix.trigger(0);
        // What the guest does to its masks meanwhile lets nothing out.
        guest.write16(At.msixMessageControl, 0xc000, CONFIG);
        guest.write16(At.msixMessageControl, 0x8000, CONFIG);
        expect(fd?.read()).toBe(0);
        guest.write16(register, back, CONFIG);
        expect([fd?.read(), guest.read64(At.pending)]).toEqual([1, 0n]);
      }
      guest.write16(At.command, 2, CONFIG);
      context.irqs.msix.trigger(0);
      expect([fd?.read(), guest.read64(At.pending)]).toEqual([0, 1n]);
      // Another driver does not find what was meant for the one before.
      guest.write16(At.deviceControl, 0x8000, CONFIG);
      guest.write16(At.command, 6, CONFIG);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      guest.write32(At.msixControl(0), 0);
      expect([fd?.read(), guest.read64(At.pending)]).toEqual([0, 0n]);
    },
  );

  test('a message that is pending when bus master comes back goes out before the behaviour hears of it', async () => {
    const seen: (number | undefined)[] = [];
    const fds: EventFd[] = [];
    const { device, context } = await acmeInstance(({ irqs }) => ({
      busMaster: (enabled) => {
        seen.push(Number(enabled), fds[0]?.read());
        irqs.msix.trigger(0);
      },
    }));
    const guest = new Guest(device);
    fds.push(...guest.enableMsix(1));
    // What the behaviour does about losing bus master still has it.
    guest.write16(At.command, 2, CONFIG);
    expect(fds[0]?.read()).toBe(1);
    context.irqs.msix.trigger(0);
    guest.write16(At.command, 6, CONFIG);
    expect([seen, fds[0]?.read()]).toEqual([[1, undefined, 0, 1, 1, 1], 1]);
  });

  test('where bus master is not enforced, messages go out whatever COMMAND says', async () => {
    const { device, context } = await acmeInstance(undefined, { enforceBusMaster: false });
    const guest = new Guest(device, { command: 0 });
    const [fd] = guest.enableMsix(1);
    context.irqs.msix.trigger(0);
    expect(fd?.read()).toBe(1);
  });

  test('a holder that is asked to let go gets REQ at once, and again every 10 s until it has', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      let asked = 0;
      const device = await acmeDevice();
      const session = device.open({ name: 'vmm', onRequest: () => (asked += 1) });
      const request = eventfd();
      session.sync.setIrqs({ index: 4, eventfds: [request.fd] });
      const released = Promise.all([device.requestRelease(), device.requestRelease()]);
      expect([request.read(), asked]).toEqual([2, 2]);
      vi.advanceTimersByTime(9_999);
      expect(request.read()).toBe(0);
      vi.advanceTimersByTime(1);
      expect([request.read(), asked]).toEqual([1, 3]);
      vi.advanceTimersByTime(20_000);
      expect([request.read(), asked]).toEqual([2, 5]);
      session.sync.close();
      await released;
      expect(vi.getTimerCount()).toBe(0);
      // Who holds it next is asked for anew.
      const next = device.open({ name: 'next' });
      vi.advanceTimersByTime(60_000);
      expect(asked).toBe(5);
      next.sync.close();
      request.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test('one that lets go when it is asked is not asked again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const device = await acmeDevice();
      const session: DeviceSession = device.open({
        name: 'vmm',
        onRequest: () => {
          session.sync.close();
        },
      });
      await device.requestRelease();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
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
