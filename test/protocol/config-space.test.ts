/**
 * Config space as a client sees it. What the C implementation refuses with EPERM, EINVAL or ENOTSUP follows PCI here: any aligned or unaligned access of any width is
 * served, read-only bits ignore what is written, reserved bits read 0. Windows and firmware rely on it.
 */
import { describe, expect, it } from 'vitest';

import { pciExpress, PciExpressType } from '../../src/emulation/index.ts';
import { acmeDevice, At } from '../mdev/support/acme.ts';
import { ANSWER, answeringCard, barCard, narrowBars, wideBars } from './support/bar-card.ts';
import { ConfigClient } from './support/config-client.ts';

/** Of acme's capabilities. */
const EXPRESS = 0x40;
const MSIX = 0x80;
const POWER = 0x90;
const LINK_CONTROL = EXPRESS + 0x10;
const DEVICE_CONTROL_2 = EXPRESS + 0x28;
const LINK_CONTROL_2 = EXPRESS + 0x30;

describe('config space', () => {
  it('G8: has 4,096 bytes with PCI Express, and 256 where the device has no more', async () => {
    await using express = await ConfigClient.of(await acmeDevice());
    expect(await express.size()).toBe(4096n);
    await using conventional = await ConfigClient.of(await barCard(narrowBars, [], 256));
    expect(await conventional.size()).toBe(256n);
    expect(await conventional.read(252, 4)).toBe(0n);
    await expect(conventional.read(256, 4)).rejects.toThrow('refused');
  });

  it('G10: BAR sizing finds the sizes of 32-bit BARs, and what is not there', async () => {
    await using client = await ConfigClient.of(await barCard(narrowBars));
    const sizes = [];
    for (let bar = 0x10; bar < 0x28; bar += 4) {
      const old = await client.read(bar, 4);
      expect(await client.write(bar, 4, 0xffff_ffffn)).toBe(0);
      const mask = (await client.read(bar, 4)) & ~0xfn;
      sizes.push(mask === 0n ? 0n : (1n << 32n) - mask);
      expect(await client.write(bar, 4, old)).toBe(0);
      expect(await client.read(bar, 4)).toBe(old);
    }
    expect(sizes).toEqual([0n, 4096n, 8192n, 16384n, 0n, 0n]);
  });

  it.each([
    ['acme, below 4 GiB', () => acmeDevice(), [0x1000n, 0x4000n, undefined]],
    ['4, 8 and 16 GiB', () => barCard(wideBars), [4n << 30n, 8n << 30n, 16n << 30n]],
  ] as const)('G11: BAR sizing finds the sizes of 64-bit pairs (%s)', async (_what, device, sizes) => {
    await using client = await ConfigClient.of(await device());
    for (const [index, size] of sizes.entries()) {
      if (size === undefined) continue;
      const bar = 0x10 + 8 * index;
      const old = await client.read(bar, 8);
      expect(old & 0x6n).toBe(0x4n);
      expect(await client.write(bar, 4, 0xffff_ffffn)).toBe(0);
      expect(await client.write(bar + 4, 4, 0xffff_ffffn)).toBe(0);
      const [low, high] = [await client.read(bar, 4), await client.read(bar + 4, 4)];
      expect((1n << 64n) - ((high << 32n) | (low & ~0xfn))).toBe(size);
      expect(await client.write(bar, 8, old)).toBe(0);
      expect(await client.read(bar, 8)).toBe(old);
    }
  });

  it('C5: the capabilities are linked from the header on', async () => {
    await using client = await ConfigClient.of(await acmeDevice());
    const found = [];
    for (let at = Number(await client.read(0x34, 1)); at !== 0; at = Number(await client.read(at + 1, 1))) {
      found.push([at, Number(await client.read(at, 1))]);
    }
    expect(found).toEqual([
      [EXPRESS, 0x10],
      [MSIX, 0x11],
      [POWER, 0x01],
    ]);
    expect(await client.read(0x06, 2)).toBe(0x10n);
  });

  it('C6, C7: a capability’s header and read-only registers stay as they are, and read', async () => {
    await using client = await ConfigClient.of(await acmeDevice());
    for (const at of [EXPRESS, MSIX, POWER]) {
      const before = await client.read(at, 2);
      expect(await client.write(at, 2, ~before & 0xffffn)).toBe(0);
      expect(await client.read(at, 2)).toBe(before);
    }
    const capabilities = await client.read(EXPRESS + 4, 4);
    expect(await client.write(EXPRESS + 4, 4, ~capabilities & 0xffff_ffffn)).toBe(0);
    expect(await client.read(EXPRESS + 4, 4)).toBe(capabilities);
  });

  it('C8, L7: each read of a hooked register is served by the device', async () => {
    let answers = 0;
    await using client = await ConfigClient.of(await answeringCard(() => 0xcccc + answers++));
    expect(await client.read(ANSWER, 4)).toBe(0xccccn);
    expect(await client.read(ANSWER + 1, 1)).toBe(0xccn);
    expect(await client.read(ANSWER, 2)).toBe(0xcccen);
    expect(await client.write(ANSWER, 4, 0n)).toBe(0);
    expect(await client.read(ANSWER, 4)).toBe(0xcccfn);
  });

  it('C9: of power management, the state is stored, whatever the width of the access', async () => {
    await using client = await ConfigClient.of(await acmeDevice());
    const capabilities = await client.read(POWER + 2, 2);
    for (const [offset, size] of [
      [3, 2],
      [2, 1],
      [2, 2],
      [6, 1],
      [7, 1],
    ] as const) {
      expect(await client.write(POWER + offset, size, 0n)).toBe(0);
    }
    expect(await client.read(POWER + 2, 2)).toBe(capabilities);
    for (const size of [2, 1]) {
      expect(await client.write(At.powerControl, size, 3n)).toBe(0);
      expect((await client.read(At.powerControl, 2)) & 3n).toBe(3n);
      expect(await client.write(At.powerControl, size, 0n)).toBe(0);
    }
  });

  it('C10: FLR resets once, by a write of any width that carries its bit, and by no other', async () => {
    const device = await acmeDevice();
    await using client = await ConfigClient.of(device);
    let resets = 0;
    device.on('reset', () => ++resets);
    expect(await client.write(At.deviceControl - 1, 2, 0x8000n)).toBe(0);
    expect(await client.write(At.deviceControl, 1, 0x80n)).toBe(0);
    expect(resets).toBe(0);
    expect(await client.write(At.deviceControl, 2, 0x8000n)).toBe(0);
    expect(resets).toBe(1);
    expect(await client.write(At.deviceControl + 1, 1, 0x80n)).toBe(0);
    expect(resets).toBe(2);
    expect((await client.read(At.deviceControl, 2)) & 0x8000n).toBe(0n);
  });

  it('C12: of MSI-X, only mask and enable are stored', async () => {
    await using client = await ConfigClient.of(await acmeDevice());
    const control = await client.read(At.msixMessageControl, 2);
    expect(await client.write(At.msixMessageControl, 2, 0xffffn)).toBe(0);
    expect(await client.read(At.msixMessageControl, 2)).toBe(control | 0xc000n);
    expect(await client.write(At.msixMessageControl, 2, 0n)).toBe(0);
    expect(await client.read(At.msixMessageControl, 2)).toBe(control);
    // As QEMU writes it: the upper byte, and one that belongs to the table's place.
    const table = await client.read(MSIX + 4, 4);
    expect(await client.write(At.msixMessageControl + 1, 2, 0xffc0n)).toBe(0);
    expect(await client.read(At.msixMessageControl, 2)).toBe(control | 0xc000n);
    expect(await client.read(MSIX + 4, 4)).toBe(table);
    expect(await client.write(MSIX + 4, 1, 0xffn)).toBe(0);
    expect(await client.read(MSIX + 4, 4)).toBe(table);
  });

  // Link Control 2 is not there: a link that has one speed only need not have it, and its place reads 0 (Base Specification 5.0, 7.5.3.20).
  it.each([
    [
      'an endpoint',
      0x00cbn,
      () => barCard({}, [pciExpress({ offset: EXPRESS, type: PciExpressType.endpoint, functionLevelReset: false })]),
    ],
    ['a root complex integrated endpoint, which has no link', 0n, () => acmeDevice()],
  ] as const)(
    'C13: two bytes written to Link Control and Device Control 2 read back, as far as there are bits (%s)',
    async (_what, linkBits, device) => {
      await using client = await ConfigClient.of(await device());
      for (const [at, bits] of [
        [LINK_CONTROL, linkBits],
        [DEVICE_CONTROL_2, 0x141fn],
        [LINK_CONTROL_2, 0n],
      ] as const) {
        for (const value of [0xffffn, 0x1408n, 0n]) {
          expect(await client.write(at, 2, value)).toBe(0);
          expect(await client.read(at, 2)).toBe(value & bits);
        }
      }
    },
  );
});
