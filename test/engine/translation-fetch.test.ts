import fc from 'fast-check';
import { expect, it } from 'vitest';

import { Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice, VERSION_2 } from './support/device.ts';

const PAGES = 600;
// Holes at pages 100, 250 and from 500 on, many maps between, one that can only be read and one that can only be written.
const holes = [100, 250];
const maps: Map[] = [];
for (let page = 0; page < 500; page++) {
  if (!holes.includes(page)) maps.push({ start: page * PAGE, size: PAGE, read: page !== 5, write: page !== 6 });
}
const capabilities = { ...VERSION_2, addressTranslation: true, translationStride: true };

/** Whether a page can be translated. */
function mapped(address: number): boolean {
  const page = Math.floor((address - BASE) / PAGE);
  return page < 500 && !holes.includes(page);
}

it('ends at the first of its pages that has no translation, or with success; it writes nothing', () => {
  using device = new TestDevice({ pages: PAGES, maps, capabilities });
  device.enable();
  const stride = fc.option(
    fc.integer({ min: 0, max: 8 }).map((shift) => 4096 << shift),
    { nil: undefined },
  );
  const property = fc.property(
    fc.integer({ min: 0, max: 520 * PAGE }),
    fc.integer({ min: 1, max: 600 * PAGE }),
    stride,
    (start, size, step) => {
      const before = device.memory.slice(32);
      const record = device.execute({
        opcode: Opcode.translationFetch,
        first: BASE + start,
        size,
        ...(step === undefined ? {} : { flags: Flag.useStride, stride: step }),
      });
      let missing: number | undefined;
      for (let at = 0; at < size && missing === undefined; at += step ?? 4096) {
        const address = BASE + start + at;
        if (!mapped(address)) missing = address - (address % PAGE);
      }
      if (missing === undefined) expect(record).toMatchObject({ status: Status.success, faultAddress: 0 });
      else expect(record).toMatchObject({ status: Status.pageFault, faultAddress: missing, operand: 1 });
      expect(Buffer.compare(device.memory.subarray(32), before)).toBe(0);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

it('refuses a stride that is no power of two from 4096 on, a region of nothing, and one behind the last address', () => {
  using device = new TestDevice({ pages: PAGES, capabilities });
  device.enable();
  const fetch = (fields: { size?: number; stride?: number; first?: bigint }): number =>
    device.execute({ opcode: Opcode.translationFetch, flags: Flag.useStride, first: BASE, size: 1, ...fields }).status;
  expect([0, 2048, 4096, 4097, 6144, 8192, 2 ** 31].map((stride) => fetch({ stride }))).toEqual([
    ...[Status.alignment, Status.alignment, Status.success, Status.alignment, Status.alignment],
    ...[Status.success, Status.success],
  ]);
  expect(fetch({ stride: 4096, size: 0 })).toBe(Status.transferSize);
  expect(fetch({ stride: 4096, size: 8192, first: 0xffff_ffff_ffff_f000n })).toBe(Status.pageFault);
  // Without the flag the stride is that of pages, whatever the field says.
  expect(device.execute({ opcode: Opcode.translationFetch, first: BASE, size: 1, stride: 5 }).status).toBe(
    Status.success,
  );
});

it('is not there while address translation services are off; nor is its stride where the device has none', () => {
  using off = new TestDevice({ pages: 4, capabilities: { ...capabilities, addressTranslation: false } });
  off.enable();
  expect(off.execute({ opcode: Opcode.translationFetch, first: BASE, size: 1 }).status).toBe(
    Status.unsupportedOperation,
  );
  using without = new TestDevice({ pages: 4, capabilities: { ...capabilities, translationStride: false } });
  without.enable();
  const fields = { opcode: Opcode.translationFetch, flags: Flag.useStride, first: BASE, size: 1, stride: 4096 };
  expect(without.execute(fields)).toMatchObject({ status: Status.invalidFlags, extra: Flag.useStride });
});
