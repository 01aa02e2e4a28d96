import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type BarNumber, configSpace, ioBar, memoryBar, RegisterRegion } from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };
const ONES = 2n ** 64n - 1n;

const widths = [32, 64] as const;
const orders = widths.flatMap((width) => Array.from({ length: width - 4 }, (_, i) => ({ width, order: i + 4 })));

describe('a memory BAR', () => {
  it.each(orders)('of 2^$order bytes and $width bits tells its size', ({ width, order }) => {
    const size = 2 ** order;
    const { block } = configSpace({ ...identity, bars: { 2: memoryBar({ size, width, prefetchable: width === 64 }) } });
    const region = new RegisterRegion(block);
    const bytes = width / 8;
    const low = width === 64 ? 0xcn : 0n;
    const all = width === 64 ? ONES : 0xffff_ffffn;
    expect(readNumber(region, 0x18, bytes)).toBe(low);
    // Sizing as a driver does it: dword by dword.
    for (let at = 0; at < bytes; at += 4) region.write(0x18 + at, bytesOf(ONES, 4));
    const mask = readNumber(region, 0x18, bytes);
    expect(mask & 0xfn).toBe(low);
    expect((~(mask & ~0xfn) & all) + 1n).toBe(2n ** BigInt(order));
  });

  it('takes every aligned address, in pieces of any size, and keeps it until a reset', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...orders),
        fc.bigInt({ min: 0n, max: ONES }),
        fc.constantFrom(1, 2, 4),
        fc.constantFrom<BarNumber>(0, 1, 4),
        ({ width, order }, raw, piece, number) => {
          const bar = memoryBar({ size: 2 ** order, width });
          const { block } = configSpace({ ...identity, bars: { [number]: bar } });
          const region = new RegisterRegion(block);
          const at = 0x10 + 4 * number;
          const data = bytesOf(raw, width / 8);
          for (let i = 0; i < data.length; i += piece) region.write(at + i, data.subarray(i, i + piece));
          const aligned = ((raw & (2n ** BigInt(width) - 1n)) >> BigInt(order)) << BigInt(order);
          expect(readNumber(region, at, width / 8) & ~0xfn).toBe(aligned);
          region.reset('function');
          expect(readNumber(region, at, width / 8) & ~0xfn).toBe(0n);
        },
      ),
    );
  });

  it('leaves registers without a BAR at zero', () => {
    const { block } = configSpace({ ...identity, bars: { 0: memoryBar({ size: 4096, width: 32 }) } });
    const region = new RegisterRegion(block);
    region.write(0x10, new Uint8Array(24).fill(0xff));
    expect(readNumber(region, 0x10, 4)).toBe(0xffff_f000n);
    for (let at = 0x14; at < 0x28; at += 4) expect(readNumber(region, at, 4)).toBe(0n);
  });

  it('must have a size and a place', () => {
    expect(() => memoryBar({ size: 8 })).toThrow('memoryBar: size 8 is not a power of two from 16');
    expect(() => memoryBar({ size: 3000 })).toThrow('memoryBar: size 3000 is not a power of two');
    expect(() => memoryBar({ size: Number.NaN })).toThrow('memoryBar: size NaN');
    expect(() => memoryBar({ size: 2 ** 32, width: 32 })).toThrow('from 16 to 2^31');
    expect(() => memoryBar({ size: 2 ** 64, width: 64 })).toThrow('from 16 to 2^63');
    const bar = memoryBar({ size: 4096 });
    expect(() => configSpace({ ...identity, bars: { 5: bar } })).toThrow('BAR 5 has no register above it for 64 bits');
    expect(() => configSpace({ ...identity, bars: { 2: bar, 3: bar } })).toThrow('BAR 3 is the upper half of BAR 2');
  });
});

describe('an I/O BAR', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('of 2^%i bytes tells its size', (order) => {
    const { block } = configSpace({ ...identity, bars: { 3: ioBar({ size: 2 ** order }) } });
    const region = new RegisterRegion(block);
    expect(readNumber(region, 0x1c, 4)).toBe(1n);
    region.write(0x1c, bytesOf(ONES, 4));
    const mask = readNumber(region, 0x1c, 4);
    expect(mask & 3n).toBe(1n);
    expect((~(mask & ~3n) & 0xffff_ffffn) + 1n).toBe(2n ** BigInt(order));
    region.write(0x04, bytesOf(0x0001n, 2));
    expect(readNumber(region, 0x04, 2)).toBe(1n);
  });

  it('must have a size', () => {
    for (const size of [0, 2, 12, 512, Number.NaN])
      expect(() => ioBar({ size })).toThrow(`ioBar: size ${size} is not a power of two from 4 to 256`);
  });

  it('is what makes I/O decode writable, and takes one register', () => {
    const { block } = configSpace({ ...identity, bars: { 0: memoryBar({ size: 4096, width: 32 }) } });
    const region = new RegisterRegion(block);
    region.write(0x04, bytesOf(0x0001n, 2));
    expect(readNumber(region, 0x04, 2)).toBe(0n);
    const port = ioBar({ size: 8 });
    expect(() => configSpace({ ...identity, bars: { 4: port, 5: port } })).not.toThrow();
    expect(() => configSpace({ ...identity, bars: { 0: memoryBar({ size: 4096 }), 1: port } })).toThrow(
      'BAR 1 is the upper half of BAR 0',
    );
    const bars = { 1: port, 6: port };
    expect(() => configSpace({ ...identity, bars })).toThrow('there is no BAR 6, expected 0 to 5');
  });
});

describe('an expansion ROM', () => {
  it.each(Array.from({ length: 14 }, (_, i) => i + 11))('of 2^%i bytes tells its size', (order) => {
    const region = new RegisterRegion(configSpace({ ...identity, rom: { size: 2 ** order } }).block);
    // As drivers do it: the enable bit stays off.
    region.write(0x30, bytesOf(0xffff_fffen, 4));
    expect((~readNumber(region, 0x30, 4) & 0xffff_ffffn) + 1n).toBe(2n ** BigInt(order));
    region.write(0x30, bytesOf(ONES, 4));
    expect(readNumber(region, 0x30, 4) & 0x7ffn).toBe(1n);
  });

  it('is absent, or has a size', () => {
    const region = new RegisterRegion(configSpace(identity).block);
    region.write(0x30, bytesOf(ONES, 4));
    expect(readNumber(region, 0x30, 4)).toBe(0n);
    for (const size of [0, 1024, 3000, 2 ** 25])
      expect(() => configSpace({ ...identity, rom: { size } })).toThrow(`configSpace: ROM of ${size} bytes`);
  });
});
