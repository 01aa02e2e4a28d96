import { describe, expect, it } from 'vitest';

import { configSpace, msi, RegisterRegion } from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };

describe('the MSI capability', () => {
  // Offsets of data, mask and pending bits as figure 6-9 of the specification has them.
  it.each([
    [false, false, 10, 8, undefined],
    [true, false, 14, 12, undefined],
    [false, true, 20, 8, 12],
    [true, true, 24, 12, 16],
  ])('64-bit address: %s, masking: %s', (address64, perVectorMasking, size, data, mask) => {
    const capability = msi({ vectors: 4, address64, perVectorMasking });
    expect(capability.size).toBe(size);
    const config = configSpace({ ...identity, capabilities: [capability] });
    const region = new RegisterRegion(config.block);
    expect(readNumber(region, 0x40, 2)).toBe(5n);
    expect(readNumber(region, 0x42, 2)).toBe((address64 ? 0x80n : 0n) | (perVectorMasking ? 0x100n : 0n) | 4n);
    region.write(0x40, new Uint8Array(24).fill(0xff));
    expect(readNumber(region, 0x44, 4)).toBe(0xffff_fffcn);
    if (address64) expect(readNumber(region, 0x48, 4)).toBe(0xffff_ffffn);
    expect(readNumber(region, 0x40 + data, 4)).toBe(0xffffn);
    if (mask === undefined) {
      expect(readNumber(region, 0x40 + size, 8)).toBe(0n);
    } else {
      expect(readNumber(region, 0x40 + mask, 4)).toBe(0xfn);
      expect(readNumber(region, 0x44 + mask, 4)).toBe(0n);
    }
  });

  it('has a bit per vector', () => {
    const config = configSpace({ ...identity, capabilities: [msi({ vectors: 32 })] });
    const region = new RegisterRegion(config.block);
    region.registers.MSI.PENDING.vectors = 0x8000_0001;
    region.write(0x50, bytesOf(2n ** 64n - 1n, 8));
    expect(readNumber(region, 0x50, 8)).toBe(0x8000_0001_ffff_ffffn);
    expect(region.registers.MSI.ADDRESS_HIGH.address).toBe(0);
    expect(() => msi({ vectors: 3 as 4 })).toThrow('msi: 3 vectors, expected 1, 2, 4, 8, 16 or 32');
  });
});
