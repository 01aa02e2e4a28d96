import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  capability,
  type Capability,
  configSpace,
  msix,
  pciExpress,
  PciExpressType,
  powerManagement,
  reg32,
  RegisterRegion,
  rw,
} from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';
import { dsaFunction } from './support/dsa-function.ts';
import { walk } from './support/walk.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };

describe('the config space of DSA 1.0', () => {
  const region = (): RegisterRegion<typeof dsaFunction.block> => new RegisterRegion(dsaFunction.block);

  it.each([
    [0x00, 0x0b25_8086],
    [0x04, 0x0010_0000],
    [0x08, 0x0880_0000],
    [0x0c, 0x0000_0000],
    [0x10, 0x0000_000c],
    [0x14, 0x0000_0000],
    [0x18, 0x0000_000c],
    [0x20, 0x0000_0000],
    [0x24, 0x0000_0000],
    [0x2c, 0x0000_8086],
    [0x30, 0x0000_0000],
    [0x34, 0x0000_0040],
    [0x3c, 0x0000_0000],
    [0x40, 0x0092_8010],
    [0x44, 0x1000_8022],
    [0x48, 0x0000_2910],
    [0x64, 0x1073_0810],
    [0x68, 0x0000_0000],
    [0x80, 0x0008_9011],
    [0x84, 0x0000_2000],
    [0x88, 0x0000_3000],
    [0x90, 0x0003_0001],
    [0x94, 0x0000_0008],
    [0x100, 0x1502_0001],
    [0x108, 0x0040_0000],
    [0x10c, 0x0044_0000],
    [0x114, 0x0000_2000],
    [0x150, 0x1601_0018],
    [0x160, 0x1701_0017],
    [0x164, 0x0001_0205],
    [0x170, 0x2001_0002],
    [0x174, 0x0000_0001],
    [0x184, 0x8000_00ff],
    [0x190, 0x0100_0000],
    [0x220, 0x2301_000f],
    [0x224, 0x0000_0060],
    [0x230, 0x2401_001b],
    [0x234, 0x0000_1404],
    [0x240, 0x0001_0013],
    [0x244, 0x8100_0000],
    [0x248, 0x0000_0200],
  ])('reads at %i what the specification prints', (offset, value) => {
    expect(readNumber(region(), offset, 4)).toBe(BigInt(value));
  });

  it.each([
    ['COMMAND', 0x04, 0x0146],
    ['CACHE_LINE_SIZE', 0x0c, 0x00ff],
    ['HEADER_TYPE', 0x0e, 0x0000],
    ['SUBSYSTEM_ID', 0x2e, 0x0000],
    ['INTERRUPT_LINE', 0x3c, 0x0000],
    ['PCIE.DEVCTL', 0x48, 0x79ff],
    ['PCIE.DEVCTL2', 0x68, 0x141f],
    ['MSIX.CONTROL', 0x82, 0xc000],
    ['PM.PMCSR', 0x94, 0x0003],
    ['ATS.CONTROL', 0x226, 0x801f],
    ['PASID.CONTROL', 0x236, 0x0005],
  ])('%s lets the guest change what the specification says', (_, offset, mask) => {
    const ones = region();
    ones.write(offset, bytesOf(0xffffn, 2));
    const zeros = region();
    zeros.write(offset, bytesOf(0n, 2));
    expect(readNumber(ones, offset, 2) ^ readNumber(zeros, offset, 2)).toBe(BigInt(mask));
  });

  it.each([
    ['STATUS', 0x06, 0xf900],
    ['PCIE.DEVSTS', 0x4a, 0x000f],
    ['PRI.STATUS', 0x246, 0x0003],
  ])('%s has bits that writing one clears', (_, offset, mask) => {
    const config = region();
    new Uint8Array(config.memory).fill(0xff, offset, offset + 2);
    const before = readNumber(config, offset, 2);
    config.write(offset, bytesOf(0xffffn, 2));
    expect(before & ~readNumber(config, offset, 2)).toBe(BigInt(mask));
  });

  it('has both chains', () => {
    expect(walk(region(), dsaFunction.size)).toEqual(
      dsaFunction.capabilities.map(({ id, version, offset }) => ({ id, version, offset })),
    );
  });
});

describe('configSpace', () => {
  it('links whatever capabilities there are, in their order, without overlap', () => {
    const any = fc.record({
      id: fc.integer({ min: 1, max: 255 }),
      version: fc.option(fc.integer({ min: 1, max: 15 }), { nil: undefined }),
      size: fc.integer({ min: 4, max: 24 }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), (specs) => {
        const capabilities = specs.map(({ id, version, size }, i): Capability => ({
          name: `C${i}`,
          id,
          size,
          registers: size >= 8 ? { DATA: reg32(4, { data: rw(31, 0) }) } : {},
          ...(version === undefined ? {} : { version }),
        }));
        const config = configSpace({ ...identity, capabilities });
        expect(config.size).toBe(specs.some(({ id, version }) => version !== undefined || id === 0x10) ? 4096 : 256);
        const chain = [
          ...specs.filter((s) => s.version === undefined),
          ...specs.filter((s) => s.version !== undefined),
        ];
        const found = walk(new RegisterRegion(config.block), config.size);
        expect(found.map(({ id, version }) => ({ id, version }))).toEqual(
          chain.map(({ id, version }) => ({ id, version })),
        );
        expect(found.map(({ offset }) => offset)).toEqual(config.capabilities.map(({ offset }) => offset));
        const places = config.capabilities.map(({ offset, size }) => [offset, offset + size] as const);
        for (const [i, [start, end]] of places.entries())
          for (const [otherStart, otherEnd] of places.slice(i + 1))
            expect(end <= otherStart || otherEnd <= start).toBe(true);
      }),
    );
  });

  it('gives the device side every register by name', () => {
    const { registers } = new RegisterRegion(dsaFunction.block);
    expect(registers.VENDOR_ID.id).toBe(0x8086);
    expect(registers.CLASS_REVISION).toEqual({ classCode: 0x088000, revisionId: 0 });
    expect(registers.PCIE.DEVCTL.maxReadRequest).toBe(2);
    expect(registers.PCIE.NEXT.offset).toBe(0x80);
    expect(registers.ATS.HEADER).toEqual({ id: 0x0f, version: 1, next: 0x230 });
    expect(registers.VC.VC0.CONTROL.trafficClasses).toBe(0xff);
    registers.BAR0.value = 0xc;
    expect(registers.BAR0.value).toBe(0xc);
  });

  it('has an interrupt pin only if asked for', () => {
    const region = new RegisterRegion(configSpace({ ...identity, interruptPin: 1 }).block);
    expect(readNumber(region, 0x3d, 1)).toBe(1n);
    region.write(0x3c, bytesOf(11n, 1));
    region.write(0x04, bytesOf(0x400n, 2));
    expect(readNumber(region, 0x3c, 1)).toBe(11n);
    expect(readNumber(region, 0x04, 2)).toBe(0x400n);
  });

  it('has every field of the header, and which of them conventional PCI alone has', () => {
    const header = { interruptPin: 2, cisPointer: 0x1234_5671, selfTest: true } as const;
    const plain = { ...header, minimumGrant: 4, maximumLatency: 9 };
    const express = [pciExpress({ functionLevelReset: false })] as const;
    const region = new RegisterRegion(configSpace({ ...identity, ...plain }).block);
    const onExpress = new RegisterRegion(configSpace({ ...identity, ...header, capabilities: express }).block);
    expect(readNumber(region, 0x28, 4)).toBe(0x1234_5671n);
    expect(readNumber(region, 0x3c, 4)).toBe(0x0904_0200n);
    for (const config of [region, onExpress]) config.write(0x0c, new Uint8Array(4).fill(0xff));
    // BIST: capable and started; latency timer: five bits, none with PCI Express; cache line size.
    expect(readNumber(region, 0x0c, 4)).toBe(0xc000_f8ffn);
    expect(readNumber(onExpress, 0x0c, 4)).toBe(0xc000_00ffn);
    // Only the device ends a self test.
    region.write(0x0f, bytesOf(0n, 1));
    expect(region.registers.BIST).toEqual({ completionCode: 0, start: true, capable: true });
    expect(() => configSpace({ ...identity, capabilities: express, minimumGrant: 1 })).toThrow(
      'minimum grant 1 and maximum latency 0, which are 0 with PCI Express',
    );
    expect(() => configSpace({ ...identity, interruptPin: 5 as 4 })).toThrow('interrupt pin 5, expected 0 to 4');
    expect(() => configSpace({ ...identity, minimumGrant: 256 })).toThrow('MIN_GNT: reset 0x100 sets bits of no field');
  });

  it('has no capability list without capabilities', () => {
    const config = configSpace(identity);
    expect(config.size).toBe(256);
    const region = new RegisterRegion(config.block);
    expect(readNumber(region, 0x06, 2)).toBe(0n);
    expect(readNumber(region, 0x34, 1)).toBe(0n);
    expect(readNumber(region, 0x2c, 4)).toBe(0x1234n);
  });

  it('shows a link where the device type has one', () => {
    const express = pciExpress({ functionLevelReset: false, type: PciExpressType.endpoint });
    const region = new RegisterRegion(configSpace({ ...identity, capabilities: [express] }).block);
    expect(readNumber(region, 0x42, 2)).toBe(0x0002n);
    expect(readNumber(region, 0x44, 4)).toBe(0x8000n);
    expect(readNumber(region, 0x4c, 4)).toBe(0x11n);
    expect(readNumber(region, 0x52, 2)).toBe(0x11n);
    region.write(0x50, bytesOf(0xffffn, 2));
    expect(readNumber(region, 0x50, 2)).toBe(0xcbn);
  });

  const extended = capability({ name: 'E', id: 1, version: 1, size: 8, registers: {} });
  const plain = capability({ name: 'C', id: 9, size: 8, registers: {} });
  it.each<readonly [string, readonly Capability[], string]>([
    ['an overlap', [plain, { ...plain, name: 'D', offset: 0x44 }], 'D at 0x44 overlaps C at 0x40'],
    ['a place in the header', [{ ...plain, offset: 0x3c }], 'C at 0x3c, 8 bytes, is not inside 0x40 to 0x100'],
    [
      'a standard one among the extended',
      [{ ...plain, offset: 0xfc }],
      'C at 0xfc, 8 bytes, is not inside 0x40 to 0x100',
    ],
    ['an odd place', [{ ...plain, offset: 0x42 }], 'C at offset 66, which is no multiple of 4'],
    ['an extended one not at 0x100', [{ ...extended, offset: 0x110 }], 'E at 0x110 is the first extended capability'],
    ['two of one name', [plain, plain], 'there are two capabilities C'],
    ['the name of a register', [{ ...plain, name: 'STATUS' }], 'capability STATUS has the name of another register'],
    ['the name of a standard and an extended one', [plain, { ...extended, name: 'C' }], 'there are two capabilities C'],
    ['an id that is too large', [{ ...plain, id: 256 }], 'C has id 256, expected 0 to 255'],
    ['a version that is none', [{ ...extended, version: 16 }], 'E has version 16, expected 1 to 15'],
    ['no room for its header', [{ ...extended, size: 2 }], 'E has 2 bytes, expected at least 4'],
    [
      'a register behind its end',
      [{ ...plain, registers: { R: reg32(8, {}) } }],
      'C.R at 0x8 lies behind the 8 bytes of C',
    ],
    ['a register on its header', [{ ...plain, registers: { R: reg32(0, {}) } }], 'overlaps C.'],
  ])('refuses %s', (_, capabilities, message) => {
    expect(() => configSpace({ ...identity, capabilities })).toThrow(message);
  });

  it('refuses an extended capability in 256 bytes', () => {
    expect(() => configSpace({ ...identity, capabilities: [extended], size: 256 })).toThrow(
      'E at 0x100, 8 bytes, is not inside 0x100 to 0x100',
    );
  });

  it('refuses an identity that does not fit', () => {
    expect(() => configSpace({ ...identity, vendorId: 0x10000 })).toThrow(
      'VENDOR_ID: reset 0x10000 sets bits of no field',
    );
    expect(() => configSpace({ ...identity, classCode: 2 ** 24 })).toThrow(
      'configSpace: classCode is 16777216; expected a whole number of 24 bits',
    );
  });

  it('places its own capabilities one behind the other', () => {
    const options = { vectors: 1, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: 0x800 } } as const;
    const { capabilities } = configSpace({
      ...identity,
      capabilities: [powerManagement(), msix(options), pciExpress({ functionLevelReset: true })],
    });
    expect(capabilities.map(({ name, offset }) => [name, offset])).toEqual([
      ['PM', 0x40],
      ['MSIX', 0x48],
      ['PCIE', 0x54],
    ]);
  });
});
