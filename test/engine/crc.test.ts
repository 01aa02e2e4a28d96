import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { crc32c } from './reference/crc.ts';
import { descriptor, Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, PAGE, TestDevice } from './support/device.ts';

const SOURCE = 4 * PAGE;
let device: TestDevice;

beforeAll(() => {
  device = new TestDevice({ pages: 128 });
  device.enable();
});
afterAll(() => {
  device[Symbol.dispose]();
});

function checksum(data: Uint8Array, seed: number, flags: number, at = SOURCE): number {
  device.memory.set(data, at);
  const record = device.execute({
    opcode: Opcode.crcGeneration,
    flags,
    first: BASE + at,
    size: data.length,
    seed,
  });
  expect(record.status).toBe(Status.success);
  expect(record.completed).toBe(0);
  return record.extra;
}

const digits = new TextEncoder().encode('123456789');
it.each([
  ['default', 0, 0, 0xe3069283],
  ['data highest bit first', Flag.straightData, 0, 0xa8f022a0],
  ['raw', Flag.rawCrc, 0, 0x045fc71a],
  ['both', Flag.rawCrc | Flag.straightData, 0, 0xc052a8c8],
  ['with a seed', 0, 0x12345678, 0x27d87b6a],
  ['raw, with a seed', Flag.rawCrc, 0x12345678, 0xa1b203f2],
])('of "123456789", %s', (_, flags, seed, result) => {
  expect(checksum(digits, seed, flags)).toBe(result);
});

it.each([
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['counting up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['4096 zeros', new Uint8Array(4096), 0x98f94189],
])('of %s', (_, data, result) => {
  expect(checksum(data, 0, 0)).toBe(result);
});

const modes = fc.record({ raw: fc.boolean(), straightData: fc.boolean() });
const flagsOf = ({ raw, straightData }: { raw: boolean; straightData: boolean }): number =>
  (raw ? Flag.rawCrc : 0) | (straightData ? Flag.straightData : 0);

it('is the bit-by-bit one, in every mode, at every alignment', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20_000 }));
  const property = fc.property(
    size,
    fc.nat(),
    fc.nat({ max: 15 }),
    fc.integer(),
    modes,
    (length, kind, shift, seed, mode) => {
      const data = Uint8Array.from({ length }, (_, i) => (Math.imul(i + kind, 2654435761) >>> 13) & 0xff);
      expect(checksum(data, seed >>> 0, flagsOf(mode), SOURCE + shift)).toBe(crc32c(seed, data, mode));
    },
  );
  fc.assert(property, { numRuns: 150 });
});

it('of a concatenation is the checksum of its second part with that of the first as the seed', () => {
  const data = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  const property = fc.property(fc.integer({ min: 1, max: data.length - 1 }), fc.integer(), modes, (cut, seed, mode) => {
    const flags = flagsOf(mode);
    const first = checksum(data.subarray(0, cut), seed >>> 0, flags);
    expect(checksum(data.subarray(cut), first, flags)).toBe(checksum(data, seed >>> 0, flags));
  });
  fc.assert(property, { numRuns: 50 });
});

it('takes its seed from memory: a batch that chains over its own records, behind fences', () => {
  const list = 2 * PAGE;
  const parts = [1000, 3, 70_000, 4096];
  const data = Uint8Array.from({ length: parts.reduce((sum, part) => sum + part, 0) }, (_, i) => (i * 11) & 0xff);
  device.memory.set(data, SOURCE);
  let at = SOURCE;
  for (const [index, size] of parts.entries()) {
    const chained = index > 0;
    const bytes = descriptor({
      opcode: Opcode.crcGeneration,
      flags: chained ? Flag.fence | Flag.readSeed : 0,
      record: BASE + PAGE + index * 32,
      first: BASE + at,
      size,
      ...(chained ? { seedAddress: BASE + PAGE + (index - 1) * 32 + 16 } : {}),
    });
    device.memory.set(bytes, list + index * 64);
    at += size;
  }
  const record = device.execute({ opcode: Opcode.batch, first: BASE + list, size: parts.length });
  expect(record).toMatchObject({ status: Status.success, completed: parts.length });
  const last = device.record(PAGE + (parts.length - 1) * 32);
  expect(last.extra).toBe(crc32c(0, data, { raw: false, straightData: false }));
});
