import { afterEach, describe, expect, test } from 'vitest';

import type { MdevRegistry } from '../../../src/mdev/index.ts';
import { Guest } from '../../mdev/support/guest.ts';
import { CONFIG, dsaDevice } from './support/dsa-guest.ts';

const registries: MdevRegistry[] = [];

async function guestOf(...parameters: Parameters<typeof dsaDevice>): Promise<Guest> {
  const { device, registry } = await dsaDevice(...parameters);
  registries.push(registry);
  return new Guest(device, { command: 0 });
}

afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.close();
});

/** Dwords of config space, as the specification's appendix C has them, without what does not exist here. */
const expected: readonly (readonly [name: string, offset: number, value: number])[] = [
  ['vendor, device', 0x00, 0x0b25_8086],
  ['command, status', 0x04, 0x0010_0000],
  ['revision, class', 0x08, 0x0880_0000],
  ['cache line, latency, header type', 0x0c, 0],
  ['BAR 0', 0x10, 0xc],
  ['BAR 0, high', 0x14, 0],
  ['BAR 2', 0x18, 0xc],
  ['BAR 2, high', 0x1c, 0],
  ['BAR 4', 0x20, 0],
  ['BAR 5', 0x24, 0],
  ['subsystem', 0x2c, 0x0000_8086],
  ['ROM', 0x30, 0],
  ['capability pointer', 0x34, 0x40],
  ['interrupt line and pin', 0x3c, 0],
  ['PCI Express', 0x40, 0x0092_8010],
  ['DEVCAP with FLR', 0x44, 0x1000_8022],
  ['DEVCTL', 0x48, 0x2910],
  ['DEVCAP2', 0x64, 0x0003_0010],
  ['DEVCTL2', 0x68, 0],
  ['MSI-X with 9 entries', 0x80, 0x0008_9011],
  ['MSI-X table', 0x84, 0x2000],
  ['MSI-X pending bits', 0x88, 0x3000],
  ['power management', 0x90, 0x0003_0001],
  ['PMCSR', 0x94, 0x8],
  ['AER, the last capability', 0x100, 0x0002_0001],
  ['AER, uncorrectable status', 0x104, 0],
  ['AER, uncorrectable mask', 0x108, 0x0040_0000],
  ['AER, uncorrectable severity', 0x10c, 0x0044_0000],
  ['AER, correctable status', 0x110, 0],
  ['AER, correctable mask', 0x114, 0x0000_2000],
  ['AER, control', 0x118, 0],
  ['where LTR would be', 0x150, 0],
];

describe('config space', () => {
  test.each(expected)('%s', async (_, offset, value) => {
    const guest = await guestOf('dsa-cfg-v1');
    expect(guest.read32(offset, CONFIG)).toBe(value);
  });

  test('BAR sizes: 64 KiB of registers, four pages of portals per queue', async () => {
    for (const [type, attributes, portals, vectors] of [
      ['dsa-cfg-v1', {}, 128 * 1024, 9],
      ['dsa-cfg-v1', { queues: 3 }, 64 * 1024, 4],
      ['dsa-1dwq-v1', {}, 16 * 1024, 2],
    ] as const) {
      const guest = await guestOf(type, attributes);
      for (const bar of [0x10, 0x14, 0x18, 0x1c]) guest.write32(bar, 0xffff_ffff, CONFIG);
      const size = (bar: number): bigint => -(guest.read64(bar, CONFIG) & ~0xfn) & 0xffff_ffff_ffff_ffffn;
      expect([size(0x10), size(0x18)]).toEqual([0x1_0000n, BigInt(portals)]);
      expect([guest.device.regions[0]?.size, guest.device.regions[2]?.size]).toEqual([0x1_0000, portals]);
      expect([guest.read16(0x82, CONFIG) + 1, guest.device.irqs[2]?.count]).toEqual([vectors, vectors]);
    }
  });

  test('writable bits of COMMAND, DEVCTL, DEVCTL2, MSI-X control and PMCSR', async () => {
    const guest = await guestOf('dsa-cfg-v1');
    for (const [offset, written, seen] of [
      [0x04, 0xffff, 0x0146],
      [0x48, 0x7fff, 0x79ff],
      [0x68, 0xffff, 0x141f],
      [0x82, 0xffff, 0xc008],
      [0x94, 0xffff, 0x000b],
    ] as const) {
      guest.write16(offset, written, CONFIG);
      expect(guest.read16(offset, CONFIG)).toBe(seen);
    }
  });

  test('writable bits of AER: those of errors that a function without a link has', async () => {
    const guest = await guestOf('dsa-cfg-v1');
    for (const [offset, seen] of [
      [0x104, 0],
      [0x108, 0x0055_d000],
      [0x10c, 0x0055_d000],
      [0x110, 0],
      [0x114, 0x0000_2000],
      [0x118, 0],
    ] as const) {
      guest.write32(offset, 0xffff_ffff, CONFIG);
      expect([offset, guest.read32(offset, CONFIG)]).toEqual([offset, seen]);
    }
  });
});

test('describe agrees with what the guest reads', async () => {
  const guest = await guestOf('dsa-1dwq-v1');
  const description = guest.device.describe();
  for (const { offset, width, current, path } of description.configSpace) {
    const bytes = guest.read(CONFIG, offset, width / 8);
    const value = bytes.reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n);
    expect([path, value]).toEqual([path, current]);
  }
  expect(description.capabilities.map(({ name, offset }) => [name, offset])).toEqual([
    ['PCIE', 0x40],
    ['MSIX', 0x80],
    ['PM', 0x90],
    ['AER', 0x100],
  ]);
});
