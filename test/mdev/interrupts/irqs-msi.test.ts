import { describe, expect, test } from 'vitest';

import { msi, pciExpress, reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevContext,
  MdevRegistry,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
} from '../../../src/mdev/index.ts';
import { type EventFd, eventfd } from '../../../src/native/binding.ts';
import { CONFIG, Guest, SET_EVENTFDS } from '../support/guest.ts';

const MSI = 1;
const VECTORS = 4;
const At = { command: 0x04, deviceControl: 0x48, control: 0x82, mask: 0x90, pending: 0x94 } as const;
/** Enabled with four messages, and with two. */
const [FOUR, TWO] = [0x21, 0x11] as const;

const regions = { bar0: mmio(registerBlock(0x1000, { SCRATCH: reg32(0x00, { all: rw(31, 0) }) })) } as const;
type MsiContext = MdevContext<unknown, typeof regions>;

/** A guest with four eventfds for MSI. */
async function msiGuest(
  platform: Partial<PlatformCapabilities> = {},
): Promise<{ guest: Guest; context: MsiContext; fired: () => number[] }> {
  const contexts: MsiContext[] = [];
  const type = defineMdevType({
    id: 'messages',
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0x0002,
      classCode: 0xff0000,
      capabilities: [pciExpress({ offset: 0x40, functionLevelReset: true }), msi({ offset: 0x80, vectors: VECTORS })],
    },
    regions,
    create: (context) => {
      contexts.push(context);
      return {};
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: 'messages', platform });
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  const guest = new Guest(device);
  const events: EventFd[] = Array.from({ length: VECTORS }, () => eventfd());
  const fds = events.map(({ fd }) => fd);
  expect(guest.setIrqs({ flags: SET_EVENTFDS, index: MSI, start: 0, count: VECTORS, fds })).toBe(0);
  return { guest, context, fired: () => events.map((event) => event.read()) };
}

describe('MSI', () => {
  test('its capability declares it', async () => {
    const { guest, context } = await msiGuest();
    expect(guest.device.irqs[MSI]).toEqual({ index: MSI, count: VECTORS, flags: 9 });
    expect(context.irqs.msi.count).toBe(VECTORS);
    for (const vector of [-1, VECTORS, 0.5]) {
      expect(() => {
        context.irqs.msi.trigger(vector);
      }).toThrow(/MSI vector .*; the device has 4/);
    }
  });

  test('masks of the guest hold single messages back, and the pending bits show them', async () => {
    const { guest, context, fired } = await msiGuest();
    guest.write16(At.control, FOUR, CONFIG);
    guest.write32(At.mask, 0b1010, CONFIG);
    for (let vector = 0; vector < VECTORS; vector++) context.irqs.msi.trigger(vector);
    expect([fired(), guest.read32(At.pending, CONFIG)]).toEqual([[1, 0, 1, 0], 0b1010]);
    guest.write32(At.pending, 0, CONFIG);
    guest.write32(At.mask, 0b1000, CONFIG);
    expect([fired(), guest.read32(At.pending, CONFIG)]).toEqual([[0, 1, 0, 0], 0b1000]);
    guest.write32(At.mask, 0, CONFIG);
    expect([fired(), guest.read32(At.pending, CONFIG)]).toEqual([[0, 0, 0, 1], 0]);
  });

  test('without bus master they wait, pending', async () => {
    const { guest, context, fired } = await msiGuest();
    guest.write16(At.control, FOUR, CONFIG);
    guest.write16(At.command, 2, CONFIG);
    context.irqs.msi.trigger(1);
    guest.write32(At.mask, 0b0010, CONFIG);
    guest.write32(At.mask, 0, CONFIG);
    expect([fired(), guest.read32(At.pending, CONFIG)]).toEqual([[0, 0, 0, 0], 0b0010]);
    guest.write16(At.command, 6, CONFIG);
    expect([fired(), guest.read32(At.pending, CONFIG)]).toEqual([[0, 1, 0, 0], 0]);
  });

  test('with fewer messages than it asks for, the higher ones share them', async () => {
    const { guest, context, fired } = await msiGuest();
    guest.write16(At.control, TWO, CONFIG);
    for (let vector = 0; vector < VECTORS; vector++) context.irqs.msi.trigger(vector);
    expect(fired()).toEqual([2, 2, 0, 0]);
  });

  test('a client that reads messages itself gets none before the guest enables them', async () => {
    for (const msixOwner of ['client', 'device'] as const) {
      const { guest, context, fired } = await msiGuest({ msixOwner });
      context.irqs.msi.trigger(3);
      expect(fired()).toEqual(msixOwner === 'client' ? [0, 0, 0, 1] : [0, 0, 0, 0]);
      guest.write16(At.control, FOUR, CONFIG);
      expect(fired()).toEqual(msixOwner === 'client' ? [0, 0, 0, 0] : [0, 0, 0, 1]);
    }
  });

  test('a reset takes masks and pending bits away, and keeps eventfds', async () => {
    const { guest, context, fired } = await msiGuest();
    guest.write16(At.control, FOUR, CONFIG);
    guest.write32(At.mask, 0b1111, CONFIG);
    context.irqs.msi.trigger(2);
    expect(guest.read32(At.pending, CONFIG)).toBe(0b100);
    guest.write16(At.deviceControl, 0x8000, CONFIG);
    expect([fired(), guest.read32(At.pending, CONFIG), guest.read32(At.mask, CONFIG)]).toEqual([[0, 0, 0, 0], 0, 0]);
    guest.write16(At.command, 6, CONFIG);
    context.irqs.msi.trigger(2);
    expect(fired()).toEqual([0, 0, 1, 0]);
  });
});
