import { describe, expect, it } from 'vitest';

import {
  addressTranslation,
  type Capability,
  configSpace,
  deviceSerialNumber,
  pageRequest,
  pasid,
  reg16,
  reg32,
  RegisterRegion,
  rw,
  vendorSpecific,
  vendorSpecificExtended,
} from '../../../src/emulation/index.ts';
import { readNumber } from '../support/bytes.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };

/** The words of a capability, as reset leaves them and after a write of all ones. */
function words(declared: Capability): { readonly fresh: number[]; readonly ones: number[] } {
  const config = configSpace({ ...identity, capabilities: [declared] });
  const region = new RegisterRegion(config.block);
  const [{ offset, size } = { offset: 0, size: 0 }] = config.capabilities;
  const read = (): number[] =>
    Array.from({ length: size / 4 }, (_, i) => Number(readNumber(region, offset + 4 * i, 4)));
  const fresh = read();
  region.write(offset, new Uint8Array(size).fill(0xff));
  return { fresh, ones: read() };
}

describe('extended capabilities', () => {
  it.each<readonly [string, Capability, number[], number[]]>([
    ['ATS', addressTranslation(), [0x0001_000f, 0x0000_0060], [0x0001_000f, 0x801f_0060]],
    [
      'ATS of another kind',
      addressTranslation({ queueDepth: 4, pageAligned: false, globalInvalidate: false, relaxedOrdering: true }),
      [0x0001_000f, 0x0000_0084],
      [0x0001_000f, 0x801f_0084],
    ],
    ['PASID', pasid(), [0x0001_001b, 0x0000_1400], [0x0001_001b, 0x0001_1400]],
    [
      'PASID with all rights',
      pasid({ width: 16, execute: true, privileged: true }),
      [0x0001_001b, 0x0000_1006],
      [0x0001_001b, 0x0007_1006],
    ],
    [
      'PRI',
      pageRequest({ capacity: 0x200 }),
      [0x0001_0013, 0x8100_0000, 0x200, 0],
      [0x0001_0013, 0x8100_0001, 0x200, 0xffff_ffff],
    ],
    [
      'DSN',
      deviceSerialNumber({ serial: 0xfedc_ba98_7654_3210n }),
      [0x0001_0003, 0x7654_3210, 0xfedc_ba98],
      [0x0001_0003, 0x7654_3210, 0xfedc_ba98],
    ],
    [
      'VSEC',
      vendorSpecificExtended({
        name: 'ACME',
        id: 0x1234,
        revision: 5,
        size: 12,
        registers: { KNOB: reg32(8, { level: rw(7, 0) }) },
      }),
      [0x0001_000b, 0x00c5_1234, 0],
      [0x0001_000b, 0x00c5_1234, 0xff],
    ],
    [
      'a vendor’s own in the first 256 bytes',
      vendorSpecific({ name: 'ACME', size: 8, registers: { KNOB: reg16(4, { level: rw(11, 0) }) } }),
      [0x0008_0009, 0],
      [0x0008_0009, 0xfff],
    ],
  ])('%s', (_, declared, fresh, ones) => {
    expect(words(declared)).toEqual({ fresh, ones });
  });

  it.each<readonly [string, () => unknown, string]>([
    ['ATS', () => addressTranslation({ queueDepth: 33 }), 'addressTranslation: queue depth 33, expected 1 to 32'],
    ['PASID', () => pasid({ width: 21 }), 'pasid: width 21, expected 1 to 20'],
    ['PRI', () => pageRequest({ capacity: 0 }), 'pageRequest: capacity 0, expected 1 to 2^32 - 1'],
    ['DSN', () => deviceSerialNumber({ serial: 2n ** 64n }), 'does not fit in 64 bits'],
    ['VSEC', () => vendorSpecificExtended({ name: 'V', id: 2 ** 16, size: 8, registers: {} }), 'V has id 65536'],
    ['VSEC size', () => vendorSpecificExtended({ name: 'V', id: 1, size: 4, registers: {} }), 'V has size 4'],
    ['a vendor’s own', () => vendorSpecific({ name: 'V', size: 200, registers: {} }), 'V has 200 bytes'],
    [
      'a register on the length',
      () =>
        configSpace({
          ...identity,
          capabilities: [vendorSpecific({ name: 'V', size: 4, registers: { R: reg16(2, {}) } })],
        }),
      'overlaps V.',
    ],
  ])('%s is refused when it does not fit', (_, declare, message) => {
    expect(declare).toThrow(message);
  });
});
