/** What of a platform must be the same on both sides of a move. */
import { describe, expect, it } from 'vitest';

import { reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevDevice,
  MdevRegistry,
  MigrationState,
  mmio,
  ParentDevice,
  type PlatformOverrides,
  VfioRegion,
} from '../../../src/mdev/index.ts';
import { restored, saved } from '../support/migratable.ts';

/** A device that can be migrated, with one BAR of so many bytes. */
async function card(size: number, platform: PlatformOverrides): Promise<MdevDevice> {
  const type = defineMdevType({
    id: 'small',
    pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
    regions: { bar0: mmio(registerBlock(size, { VALUE: reg32(0, { number: rw(31, 0) }) }), { prefetchable: false }) },
    create: () => ({
      quiesce: () => Promise.resolve(),
      resume: () => undefined,
      migration: { version: 1, save: () => Uint8Array.of(7), restore: () => undefined },
    }),
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  return registry.create({ parent: 'acme0', type: type.id, platform });
}

/** The state of a device whose guest has put its BAR at an address. */
async function movedFrom(device: MdevDevice, address: number): Promise<Uint8Array> {
  using session = device.open({ name: 'source' });
  await session.writeRegister(VfioRegion.config, 0x10, 4, address);
  return await saved(session);
}

describe('a BAR smaller than a page', () => {
  it.each([
    [true, false],
    [false, true],
  ])('does not change its size under a guest: subPageBars %s to %s', async (from, to) => {
    const stream = await movedFrom(await card(256, { subPageBars: from }), 0xfe001000);
    const target = await card(256, { subPageBars: to });
    using session = target.open({ name: 'target' });
    const size = session.sync.regionInfo(0).size;
    await expect(restored(session, stream)).rejects.toMatchObject({
      code: 'EINVAL',
      cause: expect.objectContaining({
        message: expect.stringContaining(`its platform's subPageBars is "${from}", expected "${to}"`) as string,
      }) as Error,
    });
    await session.setMigrationState(MigrationState.running);
    expect(await session.readRegister(VfioRegion.config, 0x10, 4)).toBe(4);
    expect(session.sync.regionInfo(0).size).toBe(size);
  });

  it('is moved between platforms that show it alike', async () => {
    for (const subPageBars of [false, true]) {
      const stream = await movedFrom(await card(256, { subPageBars }), 0xfe001000);
      const target = await card(256, { subPageBars });
      using session = target.open({ name: 'target' });
      await restored(session, stream);
      expect(await session.readRegister(VfioRegion.config, 0x10, 4)).toBe(0xfe001004);
    }
  });
});

it('a device without such BARs is the same on either platform', async () => {
  const stream = await movedFrom(await card(0x1000, { subPageBars: false }), 0xfe001000);
  const target = await card(0x1000, { subPageBars: true });
  using session = target.open({ name: 'target' });
  await restored(session, stream);
  expect(await session.readRegister(VfioRegion.config, 0x10, 4)).toBe(0xfe001004);
});
