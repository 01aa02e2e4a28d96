import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice, VERSION_2 } from './support/device.ts';

// Transfers of several chunks, over many maps. The byte-by-byte model covers the small ones.
const PAGES = 512;
const DATA = 8 * PAGE;
const maps: Map[] = [];
for (let page = 0, size = 1; page < PAGES; page += size, size = (size % 7) + 1) {
  maps.push({ start: page * PAGE, size: Math.min(size, PAGES - page) * PAGE, read: true, write: true });
}

let device: TestDevice;
beforeAll(() => {
  device = new TestDevice({ pages: PAGES, maps, capabilities: VERSION_2 });
  device.enable();
});
afterAll(() => {
  device[Symbol.dispose]();
});

const size = fc.oneof(
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: 60_000, max: 70_000 }),
  fc.integer({ min: 1, max: 700_000 }),
);
const place = fc.integer({ min: DATA, max: PAGES * PAGE - 1 });

/** Places and a size that fit into memory. */
const transfer = fc
  .record({ size, first: place, second: place })
  .map((fields) => ({ ...fields, size: Math.min(fields.size, PAGES * PAGE - Math.max(fields.first, fields.second)) }));

function scramble(seed: number): void {
  const words = new Uint32Array(device.memory.buffer, DATA, (PAGES * PAGE - DATA) / 4);
  let state = seed | 1;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[i] = state;
  }
}

describe('large transfers', () => {
  it('move as if through a copy, wherever source and destination lie', () => {
    const caching = fc.constantFrom(0, Flag.cacheControl);
    const property = fc.property(transfer, caching, fc.integer(), ({ size: length, first, second }, flags, seed) => {
      scramble(seed);
      const expected = device.memory.slice();
      expected.copyWithin(second, first, first + length);
      const fields = { opcode: Opcode.memoryMove, flags, first: BASE + first, second: BASE + second, size: length };
      expect(device.execute(fields)).toMatchObject({ status: Status.success, completed: 0, result: 0 });
      expect(Buffer.compare(device.memory.subarray(DATA), expected.subarray(DATA))).toBe(0);
    });
    fc.assert(property, { numRuns: 80 });
  });

  it('fill with the pattern from the first byte on, and nothing around', () => {
    const pattern = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    const property = fc.property(transfer, pattern, ({ size: length, second }, value) => {
      scramble(length);
      const expected = device.memory.slice();
      for (let i = 0; i < length; i++) expected[second + i] = Number((value >> BigInt(8 * (i % 8))) & 0xffn);
      const fields = { opcode: Opcode.fill, first: value, second: BASE + second, size: length };
      expect(device.execute(fields).status).toBe(Status.success);
      expect(Buffer.compare(device.memory.subarray(DATA), expected.subarray(DATA))).toBe(0);
    });
    fc.assert(property, { numRuns: 20 });
  });

  it('fill with 16 bytes likewise', () => {
    const pattern = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const property = fc.property(transfer, pattern, ({ size: length, second }, bytes) => {
      scramble(length);
      const expected = device.memory.slice();
      for (let i = 0; i < length; i++) expected[second + i] = bytes[i % 16] ?? 0;
      const [first = 0n, third = 0n] = new BigUint64Array(bytes.slice().buffer);
      const fields = { opcode: Opcode.fill, flags: Flag.pattern16, first, third, second: BASE + second, size: length };
      expect(device.execute(fields).status).toBe(Status.success);
      expect(Buffer.compare(device.memory.subarray(DATA), expected.subarray(DATA))).toBe(0);
    });
    fc.assert(property, { numRuns: 20 });
  });

  it('compare: the first difference, and nothing written', () => {
    const property = fc.property(
      transfer,
      fc.array(fc.nat(), { maxLength: 3 }),
      fc.boolean(),
      fc.nat({ max: 255 }),
      ({ size: length, first }, flips, check, expectedResult) => {
        const half = Math.min(length, Math.floor((PAGES * PAGE - DATA) / 2));
        const one = DATA + (first % 100);
        const two = one + half;
        const count = Math.min(half, PAGES * PAGE - two);
        scramble(length);
        device.memory.copyWithin(two, one, one + count);
        for (const flip of flips) {
          const at = two + (flip % count);
          device.memory[at] = (device.memory[at] ?? 0) ^ (1 << (flip % 8));
        }
        const before = device.memory.slice(DATA);
        const difference = device.memory
          .subarray(one, one + count)
          .findIndex((byte, i) => byte !== device.memory[two + i]);
        const result = difference < 0 ? 0 : 1;
        const record = device.execute({
          opcode: Opcode.compare,
          flags: check ? Flag.checkResult : 0,
          first: BASE + one,
          second: BASE + two,
          size: count,
          expected: expectedResult,
        });
        expect(record).toMatchObject({
          status: check && result !== (expectedResult & 1) ? Status.predicateFalse : Status.success,
          result,
          completed: Math.max(difference, 0),
        });
        expect(Buffer.compare(device.memory.subarray(DATA), before)).toBe(0);
      },
    );
    fc.assert(property, { numRuns: 60 });
  });
});
