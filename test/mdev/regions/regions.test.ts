import { readSync, writeSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { msixPending, reg32, registerBlock, ro } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevDevice,
  MdevRegistry,
  memory,
  mmio,
  ParentDevice,
  type RegionInfo,
  VFIO_REGIONS,
} from '../../../src/mdev/index.ts';
import { CONFIG, errnoOf, Guest } from '../support/guest.ts';
import { At, mappedTable, PAGE, regionCard, ROM } from '../support/region-card.ts';

const EIO = 5;
const EINVAL = 22;
const RW = 3;
const MMAP = 4;
const CAPS = 8;

function errnos(guest: Guest, region: number, offset: number): readonly [read: number, write: number] {
  const { sync } = guest.session;
  return [
    errnoOf(() => void sync.readRegion(region, offset, 1)),
    errnoOf(() => {
      sync.writeRegion(region, offset, new Uint8Array(1));
    }),
  ];
}

function infoOf(device: MdevDevice, index: number): RegionInfo {
  const info = device.regions[index];
  if (info === undefined) throw new Error(`no region ${index}`);
  return info;
}

describe('region info', () => {
  test('tells size, rights, type and what can be mapped', async () => {
    const { device } = await regionCard();
    const plain = device.regions.map(({ index, size, flags }) => [index, size, flags]);
    expect(plain).toEqual([
      [0, 0x10000, RW | MMAP | CAPS],
      [1, 0, 0],
      [2, 0x4000, RW | MMAP],
      [3, 0, 0],
      [4, 8, RW],
      [5, 16, RW],
      [6, 4096, 1],
      [7, 4096, RW],
      [8, 0xc0000, RW],
      [9, 0x3000, 1 | MMAP | CAPS],
      [10, 0x100, 2 | CAPS],
    ]);
    expect(infoOf(device, At.control).map).toMatchObject({
      areas: [
        { offset: 0x2000, size: 0x1000 },
        { offset: 0x8000, size: 0x8000 },
      ],
      cache: 'writeCombining',
    });
    expect(
      [At.control, At.frame, At.log].map((index) => infoOf(device, index).capabilities?.mmapAreas?.length),
    ).toEqual([2, undefined, 2]);
    expect(infoOf(device, At.frame).map).toMatchObject({ areas: [{ offset: 0, size: 0x4000 }], cache: 'uncached' });
    expect([At.control, At.frame, At.log].map((index) => infoOf(device, index).map?.fds.length)).toEqual([1, 1, 2]);
    expect(infoOf(device, At.log).capabilities).toMatchObject({ type: 0x8000_1d0f, subtype: 3 });
    expect(infoOf(device, At.doorbells).capabilities).toEqual({ type: 5, subtype: 0 });
    await device.close();
  });

  test('an MSI-X table in memory that can be mapped whole is said to be mappable', async () => {
    const block = registerBlock(0x1000, {
      ID: reg32(0, { id: ro(31, 0) }),
      ...msixPending({ vectors: 4, table: { bar: 2, offset: 0x100 }, pba: { bar: 0, offset: 0xc00 } }),
    });
    const type = defineMdevType({
      id: 'card',
      pci: { vendorId: 1, deviceId: 2, classCode: 3, capabilities: [mappedTable] },
      regions: { bar0: mmio(block), bar2: memory({ size: PAGE, map: true }) },
      create: () => ({}),
    });
    const registry = new MdevRegistry();
    registry.register(new ParentDevice({ name: 'card0', driverName: 'acme', types: [type], maxInstances: 1 }));
    const device = await registry.create({ parent: 'card0', type: 'card' });
    expect(device.regions.length).toBe(VFIO_REGIONS);
    expect(infoOf(device, 2)).toMatchObject({ flags: RW | MMAP | CAPS, capabilities: { msixMappable: true } });
    expect(infoOf(device, 0)).toEqual({ index: 0, size: 0x1000, flags: RW });
    await device.close();
    await expect(registry.create({ parent: 'card0', type: 'card', platform: { msixOwner: 'device' } })).rejects.toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    );
    expect(registry.parent('card0').instances).toBe(0);
  });
});

describe('memory', () => {
  test('is the same for the guest, the device and whoever maps the file', async () => {
    const { device, context } = await regionCard();
    const guest = new Guest(device, { command: 7 });
    const [fd = -1] = infoOf(device, At.frame).map?.fds ?? [];
    expect([...guest.read(At.frame, 0, 4)]).toEqual([1, 2, 3, 0]);
    guest.write(At.frame, PAGE - 2, Uint8Array.of(7, 8, 9));
    const file = new Uint8Array(4);
    readSync(fd, file, 0, 4, PAGE - 2);
    expect([[...file], [...context.memory.bar2.subarray(PAGE - 2, PAGE + 2)]]).toEqual([
      [7, 8, 9, 0],
      [7, 8, 9, 0],
    ]);
    writeSync(fd, Uint8Array.of(0x42), 0, 1, 0x3fff);
    expect([guest.read(At.frame, 0x3fff, 1)[0], context.memory.bar2[0x3fff]]).toEqual([0x42, 0x42]);
    expect(errnos(guest, At.frame, 0x4000)).toEqual([EINVAL, EINVAL]);
    device.reset();
    expect(context.memory.bar2[0x3fff]).toBe(0x42);
    device.reset('cold');
    expect([...context.memory.bar2.subarray(0, 4), context.memory.bar2[0x3fff]]).toEqual([1, 2, 3, 0, 0]);
    await device.close();
  });

  test('between registers is memory in its areas, and registers elsewhere', async () => {
    const { device, context } = await regionCard();
    const guest = new Guest(device, { command: 7 });
    expect(guest.read32(0, At.control)).toBe(0xcafe);
    guest.write32(0x2ffc, 0x1234_5678, At.control);
    guest.write32(0x3000, 0x1234_5678, At.control);
    guest.write32(0x8000, 0x9abc_def0, At.control);
    expect([0x2ffc, 0x3000, 0x8000].map((offset) => guest.read32(offset, At.control))).toEqual([
      0x1234_5678, 0, 0x9abc_def0,
    ]);
    expect([...(context.memory.bar0 ?? []).slice(0x2ffc, 0x3001)]).toEqual([0x78, 0x56, 0x34, 0x12, 0]);
    // A read across both is put together.
    expect([...guest.read(At.control, 0x2ffe, 4)]).toEqual([0x34, 0x12, 0, 0]);
    await device.close();
  });

  test('of a read-only region is filled by the device, and by nobody who has the file', async () => {
    const { device, context } = await regionCard();
    const guest = new Guest(device, { command: 7 });
    context.memory.region9.set([5, 6], 0x1000);
    expect([...guest.read(At.log, 0x1000, 2)]).toEqual([5, 6]);
    expect(errnos(guest, At.log, 0)).toEqual([0, EINVAL]);
    for (const fd of infoOf(device, At.log).map?.fds ?? []) {
      expect(() => writeSync(fd, Uint8Array.of(1), 0, 1, 0x1000)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    }
    await device.close();
  });

  test('a client can neither shrink nor grow the file', async () => {
    const { device } = await regionCard();
    const { ftruncateSync } = await import('node:fs');
    const [fd = -1] = infoOf(device, At.frame).map?.fds ?? [];
    for (const size of [0, 0x8000]) {
      expect(() => {
        ftruncateSync(fd, size);
      }).toThrow(expect.objectContaining({ code: 'EPERM' }));
    }
    await device.close();
  });
});

describe('what must be on', () => {
  test('memory BARs need memory decode, I/O BARs I/O decode, both D0; other regions nothing', async () => {
    const { device } = await regionCard();
    const guest = new Guest(device, { command: 0 });
    const answers = (): readonly number[] =>
      [At.control, At.frame, At.tiny, At.ports, At.rom, At.log, At.config].map((index) => errnos(guest, index, 0)[0]);
    expect(answers()).toEqual([EIO, EIO, EIO, EIO, 0, 0, 0]);
    guest.write16(4, 1, CONFIG);
    expect(answers()).toEqual([EIO, EIO, EIO, 0, 0, 0, 0]);
    guest.write16(4, 2, CONFIG);
    expect(answers()).toEqual([0, 0, 0, EIO, 0, 0, 0]);
    guest.write16(4, 3, CONFIG);
    guest.write(At.ports, 0, Uint8Array.of(0x41));
    expect(guest.read(At.ports, 0, 1)[0]).toBe(0x41);
    await device.close();
  });

  test('nothing, for clients that never program COMMAND', async () => {
    const { device } = await regionCard({ enforceMemoryDecode: false, rom: 'map' });
    const guest = new Guest(device, { command: 0 });
    expect([At.control, At.ports, At.rom].map((index) => errnos(guest, index, 0)[0])).toEqual([0, 0, 0]);
    await device.close();
  });
});

describe('the expansion ROM', () => {
  test('has its contents and ones behind them, and cannot be written', async () => {
    const { device } = await regionCard();
    const guest = new Guest(device, { command: 0 });
    const bytes = guest.read(At.rom, 0, 4096);
    expect(bytes.subarray(0, ROM.length)).toEqual(ROM);
    expect(bytes.subarray(ROM.length).every((byte) => byte === 0xff)).toBe(true);
    expect(errnos(guest, At.rom, 0)).toEqual([0, EINVAL]);
    // Sizing: address bits from 4 KiB on, and the enable bit.
    guest.write32(0x30, 0xffff_ffff, CONFIG);
    expect(guest.read32(0x30, CONFIG)).toBe(0xffff_f001);
    await device.close();
  });

  test('a platform that maps it reads it while memory decode and its own bit are on', async () => {
    const { device } = await regionCard({ rom: 'map' });
    const guest = new Guest(device, { command: 0 });
    const answer = (): number => errnos(guest, At.rom, 0)[0];
    expect(answer()).toBe(EIO);
    guest.write32(0x30, 1, CONFIG);
    expect(answer()).toBe(EIO);
    guest.write16(4, 2, CONFIG);
    expect(answer()).toBe(0);
    guest.write32(0x30, 0, CONFIG);
    expect(answer()).toBe(EIO);
    await device.close();
  });
});

test('VGA answers in its windows only', async () => {
  const { device } = await regionCard();
  const guest = new Guest(device, { command: 0 });
  guest.write(At.vga, 0x3c2, Uint8Array.of(9));
  guest.write32(0xa0000, 0x00ff_00ff, At.vga);
  expect([guest.read(At.vga, 0x3c2, 1)[0], guest.read32(0xa0000, At.vga)]).toEqual([9, 0x00ff_00ff]);
  const edges = [0, 0x3af, 0x3b0, 0x3bb, 0x3bc, 0x3bf, 0x3c0, 0x3df, 0x3e0, 0x9ffff, 0xa0000, 0xbffff, 0xc0000];
  expect(edges.filter((offset) => errnos(guest, At.vga, offset)[0] === 0)).toEqual([
    0x3b0, 0x3bb, 0x3c0, 0x3df, 0xa0000, 0xbffff,
  ]);
  // Not across the end of one.
  expect(errnoOf(() => void guest.session.sync.readRegion(At.vga, 0x3ba, 4))).toBe(EINVAL);
  await device.close();
});

test('a write-only region refuses reads', async () => {
  const { device } = await regionCard();
  const guest = new Guest(device);
  expect(errnos(guest, At.doorbells, 0)).toEqual([EINVAL, 0]);
  await device.close();
});

test('BARs smaller than a page, and a platform without them', async () => {
  const { device } = await regionCard();
  const guest = new Guest(device);
  guest.write32(0x24, 0xffff_ffff, CONFIG);
  expect(guest.read32(0x24, CONFIG)).toBe(0xffff_fff0);
  guest.write32(0x24, 0xfebf_1230, CONFIG);
  guest.write32(4, 77, At.tiny);
  expect([guest.read32(4, At.tiny), errnos(guest, At.tiny, 16)[0]]).toEqual([77, EINVAL]);
  expect(device.describe().bars.at(-1)).toMatchObject({ name: 'bar5', size: 16, address: 0xfebf_1230n });
  await device.close();

  const { device: whole } = await regionCard({ subPageBars: false });
  const other = new Guest(whole);
  other.write32(0x24, 0xffff_ffff, CONFIG);
  expect(other.read32(0x24, CONFIG)).toBe(0xffff_f000);
  expect([infoOf(whole, At.tiny).size, infoOf(whole, At.ports).size]).toEqual([PAGE, 8]);
  expect(other.read32(PAGE - 4, At.tiny)).toBe(0);
  await whole.close();
});

test('the behaviour knows its platform', async () => {
  const { device, context } = await regionCard({ snooping: false });
  expect(context.platform).toMatchObject({ snooping: false, rom: 'shadow', subPageBars: true });
  await device.close();
});
