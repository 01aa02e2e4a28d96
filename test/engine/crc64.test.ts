import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { crc64 } from './reference/crc.ts';
import { descriptor, Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, PAGE, TestDevice, VERSION_2 } from './support/device.ts';

const SOURCE = 4 * PAGE;
const PAGES = 2200;
const DESTINATION = SOURCE + 1064 * PAGE;
let device: TestDevice;

beforeAll(() => {
  device = new TestDevice({ pages: PAGES, capabilities: VERSION_2 });
  device.enable();
});
afterAll(() => {
  device[Symbol.dispose]();
});

function checksum(data: Uint8Array, seed: bigint, flags: number, at = SOURCE): bigint {
  device.memory.set(data, at);
  const record = device.execute({
    opcode: Opcode.crcGeneration,
    flags: flags | Flag.crc64,
    first: BASE + at,
    size: data.length,
    third: seed,
  });
  expect(record).toMatchObject({ status: Status.success, completed: 0 });
  return record.crc64;
}

it.each([
  ['"123456789"', new TextEncoder().encode('123456789'), 0xae8b14860a799888n],
  ['4096 zeros', new Uint8Array(4096), 0x6482d367eb22b64en],
  ['4096 ones', new Uint8Array(4096).fill(0xff), 0xc0ddba7302eca3acn],
])('of %s', (_, data, result) => {
  expect(crc64(0n, data, { raw: false, straightData: false })).toBe(result);
  expect(checksum(data, 0n, 0)).toBe(result);
});

const seeds = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const modes = fc.record({ raw: fc.boolean(), straightData: fc.boolean() });
const flagsOf = ({ raw, straightData }: { raw: boolean; straightData: boolean }): number =>
  (raw ? Flag.rawCrc : 0) | (straightData ? Flag.straightData : 0);
const dataOf = (length: number, kind: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + kind, 2654435761) >>> 13) & 0xff);

it('is the bit-by-bit one, in every mode, at every alignment', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 480, max: 700 }),
    fc.integer({ min: 1, max: 20_000 }),
  );
  const property = fc.property(size, fc.nat(), fc.nat({ max: 15 }), seeds, modes, (length, kind, shift, seed, mode) => {
    const data = dataOf(length, kind);
    expect(checksum(data, seed, flagsOf(mode), SOURCE + shift)).toBe(crc64(seed, data, mode));
  });
  fc.assert(property, { numRuns: 120 });
});

it('of 4 MiB, copied: the same, and the same bytes', () => {
  const data = dataOf((4 << 20) - 3, 5);
  device.memory.set(data, SOURCE + 1);
  const record = device.execute({
    opcode: Opcode.copyWithCrc,
    flags: Flag.crc64,
    first: BASE + SOURCE + 1,
    second: BASE + DESTINATION + 7,
    size: data.length,
    third: 11n,
  });
  expect(record.crc64).toBe(crc64(11n, data, { raw: false, straightData: false }));
  const copy = device.memory.subarray(DESTINATION + 7, DESTINATION + 7 + data.length);
  expect(Buffer.compare(copy, data)).toBe(0);
});

it('of a concatenation is the checksum of its second part with that of the first as the seed', () => {
  const data = dataOf(70_000, 3);
  const property = fc.property(fc.integer({ min: 1, max: data.length - 1 }), seeds, modes, (cut, seed, mode) => {
    const flags = flagsOf(mode);
    const first = checksum(data.subarray(0, cut), seed, flags);
    expect(checksum(data.subarray(cut), first, flags)).toBe(checksum(data, seed, flags));
  });
  fc.assert(property, { numRuns: 20 });
});

it('takes its seed from memory: a batch that chains over its own records, behind fences', () => {
  const list = 2 * PAGE;
  const parts = [1000, 3, 70_000, 4096];
  const data = dataOf(
    parts.reduce((sum, part) => sum + part, 0),
    9,
  );
  device.memory.set(data, SOURCE);
  let at = SOURCE;
  for (const [index, size] of parts.entries()) {
    const chained = index > 0;
    const bytes = descriptor({
      opcode: Opcode.crcGeneration,
      flags: Flag.crc64 | (chained ? Flag.fence | Flag.readSeed : 0),
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
  expect(last.crc64).toBe(crc64(0n, data, { raw: false, straightData: false }));
});

describe('a seed in memory', () => {
  const read = (seedAddress: number): number => {
    const flags = Flag.crc64 | Flag.readSeed;
    const fields = { opcode: Opcode.crcGeneration, flags, first: BASE + SOURCE, size: 8, seedAddress };
    return device.execute(fields).status;
  };
  it('is aligned to its 8 bytes', () => {
    expect([BASE + 2 * PAGE + 8, BASE + 2 * PAGE + 4].map(read)).toEqual([Status.success, Status.alignment]);
  });
  it('that is not there is a fault at the second operand', () => {
    const flags = Flag.crc64 | Flag.readSeed;
    const seedAddress = BASE + PAGES * PAGE;
    const fields = { opcode: Opcode.crcGeneration, flags, first: BASE + SOURCE, size: 8, seedAddress };
    expect(device.execute(fields)).toMatchObject({ status: Status.pageFault, operand: 2, faultAddress: seedAddress });
  });
});
