import { describe, expect, it } from 'vitest';

import { configSpace, powerManagement, RegisterRegion } from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };

function regionOf(options: Parameters<typeof powerManagement>[0]) {
  return new RegisterRegion(configSpace({ ...identity, capabilities: [powerManagement(options)] }).block);
}

describe('the power management capability', () => {
  it('has no PME unless it is asked for', () => {
    const region = regionOf({});
    region.registers.PM.PMCSR.pmeStatus = true;
    region.write(0x44, bytesOf(0xffffn, 2));
    expect(readNumber(region, 0x42, 2)).toBe(0x0003n);
    expect(readNumber(region, 0x44, 2)).toBe(0x800bn);
  });

  it.each([
    ['D3hot', 0x4803n, 0x0008n],
    ['D3cold', 0x8803n, 0x8108n],
  ] as const)('with PME from D0 and %s, whose bits outlast a reset if they outlast power', (state, pmc, afterwards) => {
    const region = regionOf({ pme: ['D0', state] });
    expect(readNumber(region, 0x42, 2)).toBe(pmc);
    region.registers.PM.PMCSR.pmeStatus = true;
    region.write(0x44, bytesOf(0x0103n, 2));
    expect(readNumber(region, 0x44, 2)).toBe(0x810bn);
    region.reset('function');
    expect(readNumber(region, 0x44, 2)).toBe(afterwards);
    region.write(0x44, bytesOf(0x8000n, 2));
    expect(readNumber(region, 0x44, 2)).toBe(0x0008n);
    region.reset('cold');
    expect(readNumber(region, 0x44, 2)).toBe(0x0008n);
  });

  it('refuses a PME from a state that there is not', () => {
    expect(() => powerManagement({ pme: ['D1'] })).toThrow('PME from D1, which is not supported');
    expect(() => powerManagement({ d1: true, pme: ['D1', 'D2'] })).toThrow('PME from D2, which is not supported');
    expect(() => powerManagement({ pme: ['D4' as 'D0'] })).toThrow('PME from D4, which is not supported');
  });
});
