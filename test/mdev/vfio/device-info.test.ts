import { describe, expect, test } from 'vitest';

import { acmeDevice, At, VECTORS } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';
import { plainCard } from '../support/plain-card.ts';

const EINVAL = 22;
const EIO = 5;

describe('regions and irqs by VFIO index', () => {
  test('what there is', async () => {
    const device = await acmeDevice();
    expect(device.regions).toEqual([
      { index: 0, size: 0x1000, flags: 3 },
      { index: 1, size: 0, flags: 0 },
      { index: 2, size: 0x4000, flags: 3 },
      { index: 3, size: 0, flags: 0 },
      { index: 4, size: 0, flags: 0 },
      { index: 5, size: 0, flags: 0 },
      { index: 6, size: 0, flags: 0 },
      { index: 7, size: 4096, flags: 3 },
      { index: 8, size: 0, flags: 0 },
    ]);
    expect(device.irqs).toEqual([
      { index: 0, count: 0, flags: 7 },
      { index: 1, count: 0, flags: 9 },
      { index: 2, count: VECTORS, flags: 1 },
      { index: 3, count: 1, flags: 9 },
      { index: 4, count: 1, flags: 9 },
    ]);
  });

  test('accesses by VFIO rules', async () => {
    const guest = new Guest(await acmeDevice());
    expect(guest.read32(At.version)).toBe(0x100);
    expect(guest.read32(0, CONFIG)).toBe(0xacce_1d0f);
    expect(guest.read64(0x1000, 2)).toBe(0xffff_ffff_ffff_ffffn);
    const byte = new Uint8Array(1);
    expect(guest.tryRead(1, 0, byte)).toBe(EINVAL);
    expect(guest.tryRead(0, 0x1000, byte)).toBe(EINVAL);
    expect(guest.tryRead(9, 0, byte)).toBe(EINVAL);
    expect(guest.tryWrite(CONFIG, 4096, byte)).toBe(EINVAL);
  });

  test('memory decode off gives EIO for BARs, not for config space', async () => {
    const guest = new Guest(await acmeDevice());
    guest.write16(At.command, 4, CONFIG);
    expect(guest.tryRead(0, 0, new Uint8Array(4))).toBe(EIO);
    expect(guest.read16(At.command, CONFIG)).toBe(4);
    guest.write16(At.command, 2, CONFIG);
    expect(guest.read32(At.version)).toBe(0x100);
    guest.write16(At.powerControl, 3, CONFIG);
    expect(guest.tryRead(0, 0, new Uint8Array(4))).toBe(EIO);
    guest.write16(At.powerControl, 0, CONFIG);
    expect(guest.read32(At.version)).toBe(0x100);
  });

  test('ERR is no index of a function without PCI Express, as in vfio-pci; the others have no vectors', async () => {
    const device = await plainCard({});
    using session = device.open({ name: 'vmm' });
    expect(() => session.sync.irqInfo(3)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    await expect(session.irqInfo(3)).rejects.toMatchObject({ code: 'EINVAL' });
    expect([0, 1, 2, 4].map((index) => session.sync.irqInfo(index).count)).toEqual([0, 0, 0, 1]);
    const express = await acmeDevice();
    using other = express.open({ name: 'vmm' });
    expect(other.sync.irqInfo(3).count).toBe(1);
  });

  test('a platform that never programs COMMAND', async () => {
    const device = await acmeDevice(undefined, { enforceMemoryDecode: false, enforceBusMaster: false });
    const guest = new Guest(device, { command: 0 });
    expect(guest.read32(At.version)).toBe(0x100);
  });
});
