import { describe, expect, test } from 'vitest';

import { msix, msixRegisters, pciExpress, reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevContext,
  type MdevDevice,
  MdevRegistry,
  mmio,
  ParentDevice,
} from '../../../src/mdev/index.ts';
import { type EventFd, eventfd } from '../../../src/native/binding.ts';
import { CONFIG, Guest } from '../support/guest.ts';

const INTX = 0;
const [UNMASK_NONE, TRIGGER_NONE, TRIGGER_EVENTFD] = [0x11, 0x21, 0x24] as const;
const At = { command: 0x04, status: 0x06, deviceControl: 0x48, msixControl: 0x82 } as const;
const [MEMORY_AND_MASTER, INTERRUPT_DISABLE] = [6, 1 << 10] as const;
const INTERRUPT_STATUS = 1 << 3;

const places = { vectors: 2, table: { bar: 0, offset: 0x800 }, pba: { bar: 0, offset: 0xc00 } } as const;
const regions = {
  bar0: mmio(registerBlock(0x1000, { LINE: reg32(0x00, { asserted: rw(0) }), ...msixRegisters(places) })),
} as const;
type LineContext = MdevContext<unknown, typeof regions>;

/** A device whose guest sets the interrupt line itself. */
async function lineDevice(interruptPin: 0 | 1 = 1): Promise<{ device: MdevDevice; context: LineContext }> {
  const contexts: LineContext[] = [];
  const type = defineMdevType({
    id: 'line',
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0x0001,
      classCode: 0xff0000,
      interruptPin,
      capabilities: [pciExpress({ offset: 0x40, functionLevelReset: true }), msix({ offset: 0x80, ...places })],
    },
    regions,
    create: (context) => {
      contexts.push(context);
      return {
        hooks: {
          bar0: {
            LINE: {
              afterWrite: ({ asserted }) => {
                if (asserted) context.irqs.intx.assert();
                else context.irqs.intx.deassert();
              },
            },
          },
        },
      };
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: 'line' });
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return { device, context };
}

/** A guest with INTx enabled. */
async function lineGuest(): Promise<{ guest: Guest; context: LineContext; line: EventFd }> {
  const { device, context } = await lineDevice();
  const guest = new Guest(device);
  const line = eventfd();
  set(guest, TRIGGER_EVENTFD, [line.fd]);
  return { guest, context, line };
}

function set(guest: Guest, flags: number, fds: readonly number[] = [], count = 1): void {
  expect(guest.setIrqs({ flags, index: INTX, start: 0, count, fds })).toBe(0);
}

function pending(guest: Guest): boolean {
  return (guest.read16(At.status, CONFIG) & INTERRUPT_STATUS) !== 0;
}

describe('INTx', () => {
  test('an interrupt pin declares it', async () => {
    const { device } = await lineDevice();
    expect(device.irqs[INTX]).toEqual({ index: INTX, count: 1, flags: 7 });
    const without = await lineDevice(0);
    expect(without.device.irqs[INTX]).toEqual({ index: INTX, count: 0, flags: 7 });
    const { intx, msi } = without.context.irqs;
    expect([intx.count, msi.count]).toEqual([0, 0]);
    expect(() => {
      intx.assert();
    }).toThrow(/no interrupt pin/);
    expect(() => {
      msi.trigger(0);
    }).toThrow(/MSI vector 0; the device has 0/);
  });

  test('fires while it is asserted, and is what STATUS says', async () => {
    const { guest, context, line } = await lineGuest();
    expect(pending(guest)).toBe(false);
    guest.write32(0, 1);
    expect([line.read(), pending(guest), context.irqs.intx.asserted]).toEqual([1, true, true]);
    set(guest, UNMASK_NONE);
    expect(line.read()).toBe(1);
    guest.write32(0, 0);
    set(guest, UNMASK_NONE);
    expect([line.read(), pending(guest), context.irqs.intx.asserted]).toEqual([0, false, false]);
  });

  test('COMMAND.interruptDisable keeps it back, and STATUS shows it all the same', async () => {
    const { guest, line } = await lineGuest();
    guest.write16(At.command, MEMORY_AND_MASTER | INTERRUPT_DISABLE, CONFIG);
    guest.write32(0, 1);
    expect([line.read(), pending(guest)]).toEqual([0, true]);
    guest.write16(At.command, MEMORY_AND_MASTER, CONFIG);
    expect(line.read()).toBe(1);
  });

  test('an enabled MSI-X keeps it back', async () => {
    const { guest, line } = await lineGuest();
    guest.write16(At.msixControl, 0x8000, CONFIG);
    guest.write32(0, 1);
    expect(line.read()).toBe(0);
    guest.write16(At.msixControl, 0, CONFIG);
    expect(line.read()).toBe(1);
  });

  test.each([
    [
      'FLR',
      (guest: Guest) => {
        guest.write16(At.deviceControl, 0x8000, CONFIG);
      },
    ],
    [
      'DEVICE_RESET',
      (guest: Guest) => {
        guest.session.sync.reset();
      },
    ],
  ])('%s lets go of the line, switches interruptDisable off, and keeps the eventfd', async (_, reset) => {
    const { guest, context, line } = await lineGuest();
    guest.write32(0, 1);
    expect(line.read()).toBe(1);
    guest.write16(At.command, MEMORY_AND_MASTER | INTERRUPT_DISABLE, CONFIG);
    reset(guest);
    expect([pending(guest), context.irqs.intx.asserted]).toEqual([false, false]);
    set(guest, UNMASK_NONE);
    context.irqs.intx.assert();
    expect(line.read()).toBe(1);
    // What was kept back until then is gone, too.
    set(guest, UNMASK_NONE);
    line.read();
    context.irqs.intx.deassert();
    guest.write16(At.command, MEMORY_AND_MASTER | INTERRUPT_DISABLE, CONFIG);
    set(guest, UNMASK_NONE);
    context.irqs.intx.assert();
    reset(guest);
    expect(line.read()).toBe(0);
  });

  test('a client that comes later finds the line as it is', async () => {
    const { guest, line } = await lineGuest();
    guest.write32(0, 1);
    expect(line.read()).toBe(1);
    await guest.session.close();
    const next = new Guest(guest.device);
    expect(pending(next)).toBe(true);
    set(next, TRIGGER_EVENTFD, [line.fd]);
    expect(line.read()).toBe(1);
    set(next, TRIGGER_NONE, [], 0);
    expect(pending(next)).toBe(true);
  });
});
