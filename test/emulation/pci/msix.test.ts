import { describe, expect, it } from 'vitest';

import {
  msix,
  type MsixOptions,
  msixPending,
  msixRegisters,
  msixTable,
  reg32,
  registerBlock,
  RegisterRegion,
  rw,
} from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';

const options = { vectors: 70, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } } as const;

describe('the MSI-X table and pending bits', () => {
  const block = registerBlock(0x4000, { CONTROL: reg32(0, { a: rw(0) }), ...msixRegisters(options) });

  it('are masked and empty, and take messages', () => {
    const region = new RegisterRegion(block);
    const { MSIX_TABLE, MSIX_PBA } = region.registers;
    expect(MSIX_TABLE).toHaveLength(70);
    expect(MSIX_PBA).toHaveLength(2);
    expect(readNumber(region, 0x2010, 8)).toBe(0n);
    expect(readNumber(region, 0x2018, 8)).toBe(0x1_0000_0000n);
    region.write(0x2010, bytesOf(0xfee0_0003n, 8));
    region.write(0x2018, bytesOf(0xffff_fffe_0000_0041n, 8));
    expect(MSIX_TABLE[1]?.ADDRESS_LOW.address).toBe(0xfee0_0000 / 4);
    expect(MSIX_TABLE[1]?.DATA.data).toBe(0x41);
    expect(MSIX_TABLE[1]?.CONTROL).toEqual({ masked: false });
    expect(readNumber(region, 0x2010, 4)).toBe(0xfee0_0000n);
    expect(readNumber(region, 0x201c, 4)).toBe(0n);
  });

  it('show pending vectors, which the guest cannot change', () => {
    const region = new RegisterRegion(block);
    const word = region.registers.MSIX_PBA[1];
    if (word === undefined) throw new Error('no second word');
    word.PENDING.pending = 1n << 5n;
    region.write(0x3008, bytesOf(-1n, 8));
    expect(readNumber(region, 0x3008, 8)).toBe(32n);
  });

  it('survive a software reset, and are masked by the others', () => {
    const region = new RegisterRegion(block);
    region.write(0x201c, bytesOf(0n, 4));
    region.write(0x2018, bytesOf(7n, 4));
    region.reset('software');
    expect(readNumber(region, 0x2018, 8)).toBe(7n);
    region.reset('function');
    expect(readNumber(region, 0x2018, 8)).toBe(0x1_0000_0000n);
  });

  it('may lie in different BARs', () => {
    const split = { ...options, pba: { bar: 2, offset: 0 } } as const;
    expect(() => msixRegisters(split)).toThrow('table in BAR 0, pending bits in BAR 2; use msixTable and msixPending');
    registerBlock(0x4000, { ...msixTable(split) });
    registerBlock(0x1000, { ...msixPending(split) });
  });

  it.each<readonly [string, Partial<MsixOptions>, string]>([
    ['no vectors', { vectors: 0 }, 'msix: 0 vectors, expected 1 to 2048'],
    ['too many vectors', { vectors: 2049 }, 'msix: 2049 vectors, expected 1 to 2048'],
    ['an odd table', { table: { bar: 0, offset: 4 } }, 'msix: table offset 4 is not a multiple of 8'],
    ['an odd PBA', { pba: { bar: 0, offset: -8 } }, 'msix: pba offset -8 is not'],
    ['an impossible BAR', { table: { bar: 6 as 5, offset: 0 } }, 'msix: table in BAR 6, expected 0 to 5'],
    ['parts that overlap', { pba: { bar: 0, offset: 0x2458 } }, 'msix: table and pending bits overlap in BAR 0'],
  ])('refuse %s', (_, change, message) => {
    expect(() => msix({ ...options, ...change })).toThrow(message);
    expect(() => msixRegisters({ ...options, ...change })).toThrow(message);
  });
});
