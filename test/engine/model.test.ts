import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice, VERSION_2 } from './support/device.ts';
import { ReferenceMemory } from './reference/memory.ts';
import { type Choose, Model, type ReportedError } from './reference/model.ts';
import { DIF_BLOCKS } from './reference/dif.ts';
import { CONVERSIONS } from './reference/typed/elements.ts';
import type { Limits } from './reference/rules.ts';

const PAGES = 64;
const LIMITS: Limits = { maxTransfer: 1 << 16, maxBatch: 16, blockOnFault: false, overlappingMove: true, handles: 9 };

// Descriptor lists are read-only, so that no member changes what the device may have fetched before.
const map = (first: number, pages: number, read: boolean, write: boolean): Map => ({
  start: first * PAGE,
  size: pages * PAGE,
  read,
  write,
});
const MAPS = [
  map(0, 4, true, false),
  map(4, 12, true, true),
  map(20, 5, true, true),
  map(25, 7, true, true),
  map(32, 4, true, false),
  map(36, 4, false, true),
  map(40, 24, true, true),
];

/** The order in which this device makes its checks. */
const ORDER = [
  Status.recordAlignment,
  Status.unsupportedOperation,
  Status.invalidFlags,
  Status.reservedField,
  Status.transferSize,
  Status.fieldValue,
  Status.descriptorCount,
  Status.listAlignment,
  Status.dualcastAlignment,
  Status.alignment,
  Status.overlap,
  Status.interruptHandle,
];
const choose: Choose = (candidates) => {
  const first = ORDER.find((status) => candidates.has(status));
  if (first === undefined) throw new Error('no known status');
  return first;
};

const border = fc.tuple(fc.integer({ min: 4, max: PAGES }), fc.integer({ min: -70, max: 70 }));
const place = fc.oneof(
  { weight: 3, arbitrary: border.map(([page, shift]) => page * PAGE + shift) },
  { weight: 3, arbitrary: fc.integer({ min: 4 * PAGE, max: PAGES * PAGE - 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: 40 * PAGE, max: 42 * PAGE }).map((value) => value & ~7) },
);
const address = fc.oneof(
  { weight: 30, arbitrary: place.map((offset) => BigInt(BASE + offset)) },
  { weight: 1, arbitrary: fc.constant(0n) },
);
const size = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 30_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 4096, 1 << 16, (1 << 16) + 1) },
);
const opcodes = Object.values(Opcode).filter((opcode) => opcode !== Opcode.batch);
const record = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0, max: 511 }).map((slot) => BASE + 40 * PAGE + slot * 32) },
  { weight: 1, arbitrary: place.map((offset) => BASE + offset) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2047 }).map((slot) => BASE + slot * 128) },
);

/** Now and then one bit is wrong. */
function sometimes(bits: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 15, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: bits - 1 }).map((bit) => 1 << bit) },
  );
}

/** Bytes of a descriptor that makes sense in most of its fields. */
const singleOf = (version2: boolean): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      opcode: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(...opcodes) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
      ),
      told: fc.constantFrom(0b1100, 0b1100, 0b1100, 0b0100, 0),
      wrongFlags: sometimes(24),
      modes: fc.integer({ min: 0, max: version2 ? 15 : 7 }),
      check: fc.boolean(),
      fence: fc.boolean(),
      record,
      first: address,
      second: address,
      third: address,
      pattern: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
      size,
      handle: fc.oneof(
        { weight: 10, arbitrary: fc.constant(undefined) },
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 10 }) },
      ),
      seed: fc.integer({ min: 0, max: 0xffffffff }),
      most: fc.constantFrom(79, 80, 80, 89, 90, 200, 1000, 70_000),
      blocks: fc.integer({ min: 1, max: 4 }),
      difFlags: fc.tuple(
        fc.nat({ max: 255 }),
        fc.nat({ max: 31 }).map((bits) => bits << 3),
        fc.nat({ max: 15 }),
      ),
      typed: fc.record({
        types: fc.oneof(
          { weight: 8, arbitrary: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })) },
          {
            weight: 16,
            arbitrary: fc.constantFrom(...CONVERSIONS, ...[4, 5, 6, 7, 8, 9].map((type) => [type, type] as const)),
          },
          { weight: 1, arbitrary: fc.tuple(fc.nat({ max: 15 }), fc.nat({ max: 15 })) },
        ),
        compute: fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom(1, 1, 6, 7, 3, 4, 5) },
          { weight: 1, arbitrary: fc.nat({ max: 15 }) },
        ),
        flags: fc.tuple(fc.nat({ max: 511 }), sometimes(12)).map(([flags, wrong]) => (flags & ~0x40) ^ wrong),
        inPlace: fc.nat({ max: 7 }),
      }),
      tags: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      wrongByte: sometimes(8),
      // Not in the highest bytes of addresses, which the model keeps as numbers.
      wrongPlace: fc.integer({ min: 32, max: 63 }).filter((at) => ![46, 47, 54, 55].includes(at)),
    })
    .map((fields) => {
      const bytes = new Uint8Array(64);
      const view = new DataView(bytes.buffer);
      const { opcode } = fields;
      let flags = fields.told ^ fields.wrongFlags;
      if (version2 && fields.pattern % 5n === 0n) flags |= Flag.cacheControl2;
      const needsRecord = [5, 6, 7, 0x10, 0x11, 0x12].includes(opcode);
      if (needsRecord && fields.wrongFlags === 0) flags |= 0b1100;
      if (opcode === Opcode.drain) flags |= 0b1100;
      if ((flags & 4) !== 0) view.setBigUint64(8, BigInt(fields.record), true);
      if (opcode === Opcode.fill) view.setBigUint64(16, fields.pattern, true);
      else if (![Opcode.noOp, Opcode.drain, Opcode.cacheFlush].some((other) => other === opcode)) {
        view.setBigUint64(16, fields.first, true);
      }
      if (opcode === Opcode.comparePattern) view.setBigUint64(24, fields.pattern, true);
      else if (![Opcode.noOp, Opcode.drain, Opcode.crcGeneration, Opcode.difCheck].some((other) => other === opcode)) {
        view.setBigUint64(24, fields.second, true);
      }
      if (opcode !== Opcode.noOp && opcode !== Opcode.drain) view.setUint32(32, fields.size, true);
      if (opcode === Opcode.compare || opcode === Opcode.comparePattern) {
        if (fields.check) flags |= 1 << 7;
        view.setUint8(40, fields.seed & 3);
      }
      if (opcode === Opcode.dualcast) {
        // Most of the time at the same place of their pages.
        const samePlace = (fields.third & ~0xfffn) | (fields.second & 0xfffn);
        view.setBigUint64(40, fields.seed % 8 === 0 ? fields.third : samePlace, true);
      }
      if (opcode === Opcode.fill && version2 && fields.check) {
        flags |= Flag.pattern16;
        view.setBigUint64(40, fields.pattern === 0n ? fields.tags : fields.pattern, true);
      }
      if (opcode === Opcode.drain && version2) {
        flags |= (fields.modes & 3) << 16;
        if ((fields.modes & 1) !== 0) view.setBigUint64(16, fields.first, true);
        if ((fields.modes & 2) !== 0) view.setBigUint64(24, fields.second, true);
      }
      if (opcode === Opcode.translationFetch) {
        view.setBigUint64(24, 0n, true);
        if (version2 && fields.check) {
          flags |= Flag.useStride;
          view.setUint32(48, fields.seed % 8 === 0 ? fields.seed % 5000 : 4096 << (fields.seed % 5), true);
        }
      }
      if (opcode === Opcode.crcGeneration || opcode === Opcode.copyWithCrc) {
        flags |= fields.modes << 16;
        if ((fields.modes & 1) !== 0) view.setBigUint64(48, fields.third & (fields.check ? ~7n : ~3n), true);
        else if ((fields.modes & 8) !== 0) view.setBigUint64(40, fields.tags, true);
        else view.setUint32(40, fields.seed, true);
      }
      // Most of the time aligned as they have to be.
      const aligned = (field: number): void => {
        if (fields.seed % 16 !== 0) view.setUint8(field, view.getUint8(field) & ~7);
      };
      if (opcode === Opcode.createDelta) {
        if (fields.check) flags |= 1 << 7;
        view.setBigUint64(40, fields.third, true);
        view.setUint32(48, fields.most, true);
        view.setUint8(56, fields.seed & 7);
        for (const field of [16, 24, 32]) aligned(field);
      }
      if (opcode === Opcode.applyDelta) {
        view.setUint32(40, fields.seed % 5 === 0 ? fields.seed % 100 : fields.blocks * 10, true);
        for (const field of [24, 32]) aligned(field);
      }
      if (opcode === Opcode.dixGenerate) aligned(24);
      if (opcode >= Opcode.difCheck && opcode <= Opcode.dixGenerate) {
        const [source, destination, mode] = fields.difFlags;
        const makes = [Opcode.difInsert, Opcode.difUpdate, Opcode.dixGenerate].some((other) => other === opcode);
        const checks = !makes || opcode === Opcode.difUpdate;
        view.setUint8(42, mode);
        const block = (DIF_BLOCKS[mode & 3] ?? 0) + (checks ? 8 : 0);
        view.setUint32(32, fields.blocks * block + (fields.seed % 16 === 0 ? 8 : 0), true);
        if (checks) {
          view.setUint8(40, source);
          view.setBigUint64(48, fields.tags | (fields.check ? 0xffff_0000_0000n : 0n), true);
        }
        if (makes) {
          view.setUint8(41, destination);
          view.setBigUint64(56, fields.tags, true);
        }
      }
      if (opcode >= Opcode.typeConversion && opcode <= Opcode.reduceDualcast) {
        const { types, compute, flags: computeFlags, inPlace } = fields.typed;
        if (fields.check) flags |= 1 << 7;
        view.setUint8(56, types[0] | (types[1] << 4));
        view.setUint16(57, (opcode === Opcode.typeConversion ? 0 : compute) | (computeFlags << 4), true);
        const destinations = opcode === Opcode.typeConversion ? [24] : opcode === Opcode.reduce ? [40] : [40, 48];
        // Few elements: the model is slow.
        view.setUint32(32, fields.size > 2 ** 16 ? fields.size : Math.ceil(fields.size / 16), true);
        if (opcode !== Opcode.typeConversion) view.setBigUint64(40, fields.third, true);
        if (opcode === Opcode.reduceDualcast) view.setBigUint64(48, fields.third ^ 0x8000n, true);
        if (inPlace === 1) view.setBigUint64(destinations[0] ?? 0, fields.first, true);
        if (inPlace === 2) view.setBigUint64(destinations.at(-1) ?? 0, fields.first, true);
        for (const field of [16, 24, ...destinations]) aligned(field);
      }
      if (fields.handle !== undefined) {
        flags |= 1 << 4;
        view.setUint16(36, fields.handle, true);
      }
      if (fields.fence && fields.seed % 4 === 0) flags |= 1;
      view.setUint32(4, (flags | (opcode << 24)) >>> 0, true);
      if (fields.wrongByte !== 0) view.setUint8(fields.wrongPlace, fields.wrongByte);
      return bytes;
    });

/** A list, and the batch that names it. */
const batchOf = (version2: boolean): fc.Arbitrary<Submission> =>
  fc
    .record({
      members: fc.array(singleOf(version2), { minLength: version2 ? 1 : 2, maxLength: 12 }),
      list: fc.integer({ min: 0, max: 40 }).map((slot) => slot * 64),
      atEnd: fc.boolean(),
      count: fc.oneof(
        { weight: 10, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 20 }) },
      ),
      shift: sometimes(6),
      record,
    })
    .map(({ members, list, atEnd, count, shift, record: recordAddress }) => {
      // The list page behind page 35 cannot be read: a list that ends there faults in the middle if its count says more.
      const start = atEnd ? 36 * PAGE - members.length * 64 : list;
      const bytes = new Uint8Array(64);
      const view = new DataView(bytes.buffer);
      const continued = version2 && members.length % 4 === 0 ? Flag.batchError : 0;
      view.setUint32(4, 0b1100 | continued | (Opcode.batch << 24), true);
      view.setBigUint64(8, BigInt(recordAddress), true);
      view.setBigUint64(16, BigInt(BASE + start + shift), true);
      view.setUint32(32, count ?? members.length, true);
      return { bytes, list: { start, members } };
    });

interface Submission {
  readonly bytes: Uint8Array;
  readonly list?: { readonly start: number; readonly members: readonly Uint8Array[] };
}

const submissionsOf = (version2: boolean): fc.Arbitrary<Submission[]> =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: singleOf(version2).map((bytes) => ({ bytes })) },
      { weight: 1, arbitrary: batchOf(version2) },
    ),
    { minLength: 1, maxLength: 8 },
  );

/** Memory of little variety, so that comparisons often find equality. */
function contents(kinds: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PAGES * PAGE);
  for (const [page, kind] of kinds.entries()) {
    const at = page * PAGE;
    if (kind % 3 === 0) bytes.fill(kind, at, at + PAGE);
    if (kind % 5 === 0) bytes[at + kind * 16] = 0xa5;
    if (kind % 7 === 0) for (let i = 0; i < PAGE; i++) bytes[at + i] = (i * 31 + kind) & 0xff;
  }
  return bytes;
}
const pageKinds = fc.uint8Array({ minLength: PAGES, maxLength: PAGES });

describe.each([
  { name: 'of version 1.0, submitted in whole descriptors', width: 64, version2: false, numRuns: 400 },
  { name: 'of version 1.0, submitted in pieces of 8 bytes', width: 8, version2: false, numRuns: 200 },
  { name: 'of version 2.0', width: 64, version2: true, numRuns: 500 },
])('a random device’s life, $name', ({ width, version2, numRuns }) => {
  let device: TestDevice;
  beforeAll(() => {
    const features = version2 ? { ...VERSION_2, addressTranslation: true, translationStride: true } : {};
    const capabilities = { ...features, maxBatchShift: 4, maxTransferShift: 16, faultInfo: false };
    device = new TestDevice({ pages: PAGES, maps: MAPS, capabilities });
    device.enable();
  });
  afterAll(() => {
    device[Symbol.dispose]();
  });

  it('is that of the byte-by-byte model: memory, records, errors and interrupts', () => {
    const limits = { ...LIMITS, version2 };
    const property = fc.property(pageKinds, submissionsOf(version2), (kinds, sequence) => {
      takeError(device);
      for (let vector = 0; vector < 9; vector++) device.raised(vector);
      const start = contents(kinds);
      const memory = new ReferenceMemory(start.slice(), MAPS);
      const model = new Model(memory, limits, choose);
      device.memory.set(start);
      for (const { bytes, list } of sequence) {
        for (const [index, member] of (list?.members ?? []).entries()) {
          device.memory.set(member, (list?.start ?? 0) + index * 64);
          memory.bytes.set(member, (list?.start ?? 0) + index * 64);
        }
        model.submit(bytes);
        device.run(bytes, width);
        const difference =
          Buffer.compare(device.memory, memory.bytes) === 0 ? -1 : firstDifference(device.memory, memory.bytes);
        expect(difference, 'first byte of memory that differs').toBe(-1);
      }
      expect(takeError(device)).toEqual(expectedError(model.errors));
      for (let vector = 0; vector < 9; vector++) {
        expect(device.raised(vector)).toBe(model.interrupts.filter((raised) => raised === vector).length);
      }
    });
    fc.assert(property, { numRuns });
  });
});

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  return a.findIndex((byte, index) => byte !== b[index]);
}

function takeError(device: TestDevice): readonly bigint[] {
  const words = device.softwareError();
  device.clearSoftwareError();
  // Without the valid bit, the other words mean nothing.
  return ((words[0] ?? 0n) & 1n) === 1n ? words : [];
}

/** SWERROR after these errors, of which it holds the first. */
function expectedError(errors: readonly ReportedError[]): readonly bigint[] {
  const [error] = errors;
  if (error === undefined) return [];
  let head = 0b1101n | (BigInt(error.code) << 8n) | (BigInt(error.opcode) << 32n);
  if (errors.length > 1) head |= 0b10n;
  if (error.batchIndex !== undefined) head |= 1n << 4n;
  if (error.write) head |= 1n << 5n;
  if (error.code === Status.invalidFlags || error.code === Status.interruptHandle) head |= 1n << 7n;
  return [head, (BigInt(error.information) << 32n) | BigInt(error.batchIndex ?? 0), BigInt(error.faultAddress), 0n];
}
