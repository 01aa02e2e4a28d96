import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { DIF_BLOCKS, encodeField, guardOf, tagsAt } from './reference/dif.ts';
import { type CompletionRecord, type DescriptorFields, type DifSide, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice } from './support/device.ts';

const AREA = 1100 * PAGE;
const SOURCE = 8 * PAGE;
const MIDDLE = SOURCE + AREA;
const DESTINATION = MIDDLE + AREA;
const PAGES = (DESTINATION + AREA) / PAGE;
const maps: Map[] = [];
for (let page = 0, size = 1; page < PAGES; page += size, size = (size % 37) + 1) {
  maps.push({ start: page * PAGE, size: Math.min(size, PAGES - page) * PAGE, read: true, write: true });
}

let device: TestDevice;
beforeAll(() => {
  device = new TestDevice({ pages: PAGES, maps });
  device.enable();
});
afterAll(() => {
  device[Symbol.dispose]();
});

const blockOf = (difFlags: number): number => DIF_BLOCKS[difFlags & 3] ?? 0;
const run = (
  opcode: number,
  from: number,
  to: number,
  size: number,
  fields: Partial<DescriptorFields>,
): CompletionRecord =>
  device.execute({ opcode, first: BASE + from, second: opcode === Opcode.difCheck ? 0 : BASE + to, size, ...fields });

function scramble(at: number, size: number, seed: number): void {
  let state = seed | 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    device.memory[at + i] = state >>> 24;
  }
}

const tags = {
  reference: fc.oneof(fc.constantFrom(0, 0xffff_fffe), fc.integer({ min: 0, max: 0xffff_ffff })),
  mask: fc.constantFrom(0, 0xff, 0xff00, 0xfffe, 0x1234),
  application: fc.oneof(fc.constantFrom(0, 0xfffe), fc.integer({ min: 0, max: 0xffff })),
};
const difFlags = fc.nat({ max: 15 });
/** Tags that count or do not. */
const counting = fc.constantFrom(0, 0x10, 0x80, 0x90);
const count = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1000 }));

describe('the guard', () => {
  const check = (data: Uint8Array, flags: number, guard: number): void => {
    expect(guardOf(data, flags)).toBe(guard);
    device.memory.set(data, SOURCE);
    run(Opcode.difInsert, SOURCE, DESTINATION, 512, {
      difFlags: flags,
      destinationDif: { flags: 0, reference: 0, mask: 0, application: 0 },
    });
    expect(new DataView(device.memory.buffer).getUint16(DESTINATION + 512)).toBe(guard);
  };
  it.each([
    ['zeros', new Uint8Array(512), 0, 0],
    ['zeros, seed inverted', new Uint8Array(512), 4, 0x72bb],
    ['zeros, result inverted', new Uint8Array(512), 8, 0xffff],
    ['counting up', Uint8Array.from({ length: 512 }, (_, i) => i & 0xff), 0, 0x4f10],
    ['ones', new Uint8Array(512).fill(0xff), 0, 0xe6a1],
  ])('of %s', (_, data, flags, guard) => {
    check(data, flags, guard);
  });
  it('of "123456789", by the reference', () => {
    const digits = new TextEncoder().encode('123456789');
    expect([guardOf(digits, 0), guardOf(digits, 4)]).toEqual([0xd0db, 0x8e3c]);
  });
});

it('the worked example of an insertion', () => {
  device.memory.fill(0, SOURCE, SOURCE + 512);
  const destinationDif = { flags: 0, reference: 1, mask: 0xff, application: 0x1234 };
  const record = run(Opcode.difInsert, SOURCE, DESTINATION, 512, { difFlags: 0, destinationDif });
  expect([...device.memory.subarray(DESTINATION + 512, DESTINATION + 520)]).toEqual([0, 0, 0x12, 0, 0, 0, 0, 1]);
  expect(record).toMatchObject({ status: Status.success, completed: 0, destinationTags: { reference: 2, mask: 0xff } });
});

/** What `insert` is to leave. */
function inserted(at: number, blocks: number, flags: number, side: DifSide): Uint8Array {
  const block = blockOf(flags);
  const bytes = new Uint8Array(blocks * (block + 8));
  for (let index = 0; index < blocks; index++) {
    const data = device.memory.subarray(at + index * block, at + (index + 1) * block);
    const { reference, mask, application } = tagsAt(side, index);
    bytes.set(data, index * (block + 8));
    const field = { guard: guardOf(data, flags), application: application & ~mask & 0xffff, reference };
    bytes.set(encodeField(field), index * (block + 8) + block);
  }
  return bytes;
}

it('what is inserted passes the check, can be stripped, and can be updated to other tags', () => {
  const property = fc.property(
    fc.record({ ...tags, flags: counting }),
    fc.record({ ...tags, flags: counting }),
    difFlags,
    count,
    fc.nat({ max: 100 }),
    fc.integer(),
    (side, other, flags, wanted, shift, seed) => {
      const block = blockOf(flags);
      const blocks = Math.min(wanted, Math.floor((4 << 20) / (block + 8)));
      const [from, middle, to] = [SOURCE + shift, MIDDLE + 3 * shift, DESTINATION + 7 * shift] as const;
      const plain = blocks * block;
      const whole = blocks * (block + 8);
      scramble(from, plain, seed);
      const expected = inserted(from, blocks, flags, side);
      const next = tagsAt(side, blocks);

      const record = run(Opcode.difInsert, from, middle, plain, { difFlags: flags, destinationDif: side });
      expect(record).toMatchObject({ status: Status.success, completed: 0, destinationTags: next });
      expect(Buffer.compare(device.memory.subarray(middle, middle + whole), expected)).toBe(0);

      const good = { status: Status.success, result: 0, completed: 0, sourceTags: next };
      const checked = { difFlags: flags, sourceDif: side };
      expect(run(Opcode.difCheck, middle, 0, whole, checked)).toMatchObject(good);
      expect(run(Opcode.difStrip, middle, to, whole, checked)).toMatchObject(good);
      expect(Buffer.compare(device.memory.subarray(to, to + plain), device.memory.subarray(from, from + plain))).toBe(
        0,
      );

      const updated = inserted(from, blocks, flags, other);
      expect(run(Opcode.difUpdate, middle, to, whole, { ...checked, destinationDif: other })).toMatchObject({
        ...good,
        destinationTags: tagsAt(other, blocks),
      });
      expect(Buffer.compare(device.memory.subarray(to, to + whole), updated)).toBe(0);
    },
  );
  fc.assert(property, { numRuns: 12 });
});

it('what DIX generates is what an insertion puts behind the blocks', () => {
  const property = fc.property(
    fc.record({ ...tags, flags: counting }),
    difFlags,
    count,
    fc.nat({ max: 100 }),
    fc.integer(),
    (side, flags, wanted, shift, seed) => {
      const block = blockOf(flags);
      const blocks = Math.min(wanted, Math.floor((4 << 20) / block));
      const [from, to] = [SOURCE + shift, DESTINATION + 8 * shift] as const;
      scramble(from, blocks * block, seed);
      const whole = inserted(from, blocks, flags, side);
      device.memory.fill(0xee, to - 8, to + 8 * blocks + 8);
      const record = run(Opcode.dixGenerate, from, to, blocks * block, { difFlags: flags, destinationDif: side });
      expect(record).toMatchObject({ status: Status.success, completed: 0, destinationTags: tagsAt(side, blocks) });
      const expected = Buffer.alloc(8 * blocks + 16, 0xee);
      for (let index = 0; index < blocks; index++) {
        const field = index * (block + 8) + block;
        expected.set(whole.subarray(field, field + 8), 8 + 8 * index);
      }
      expect(Buffer.compare(device.memory.subarray(to - 8, to + 8 * blocks + 8), expected)).toBe(0);
    },
  );
  fc.assert(property, { numRuns: 15 });
});

describe('DIX', () => {
  const side = { flags: 0, reference: 1, mask: 0xff, application: 0x1234 };
  const status = (second: number, size: number): number =>
    device.execute({
      opcode: Opcode.dixGenerate,
      first: BASE + SOURCE,
      second: BASE + second,
      size,
      destinationDif: side,
    }).status;
  it('the worked example of an insertion, without the block', () => {
    device.memory.fill(0, SOURCE, SOURCE + 512);
    expect(status(DESTINATION, 512)).toBe(Status.success);
    expect([...device.memory.subarray(DESTINATION, DESTINATION + 8)]).toEqual([0, 0, 0x12, 0, 0, 0, 0, 1]);
  });
  it('refuses parts of blocks, fields that are not aligned, and fields in the blocks', () => {
    expect(status(DESTINATION, 520)).toBe(Status.transferSize);
    expect(status(DESTINATION + 4, 512)).toBe(Status.alignment);
    expect(status(SOURCE + 504, 512)).toBe(Status.overlap);
    expect(status(SOURCE - 8, 512)).toBe(Status.success);
    expect(status(SOURCE - 8, 1024)).toBe(Status.overlap);
  });
});

it('a block that is spoilt ends it there, with what is wrong, and what comes before is written', () => {
  const part = fc.constantFrom({ at: -1, bit: 1 }, { at: 0, bit: 1 }, { at: 2, bit: 2 }, { at: 4, bit: 4 });
  const property = fc.property(
    fc.record({ ...tags, flags: counting }),
    difFlags,
    fc.integer({ min: 1, max: 30 }),
    fc.nat(),
    part,
    fc.integer(),
    (side, flags, blocks, bad, { at, bit }, seed) => {
      const block = blockOf(flags);
      const index = bad % blocks;
      scramble(SOURCE, blocks * block, seed);
      const expected = device.memory.slice(SOURCE, SOURCE + blocks * block);
      run(Opcode.difInsert, SOURCE, MIDDLE, blocks * block, { difFlags: flags, destinationDif: side });
      const place = MIDDLE + index * (block + 8) + block + at;
      device.memory[place] = (device.memory[place] ?? 0) ^ 0x40;
      const fields = { difFlags: flags, sourceDif: side };
      for (const opcode of [Opcode.difCheck, Opcode.difStrip]) {
        device.memory.fill(0xee, DESTINATION, DESTINATION + blocks * block);
        const record = run(opcode, MIDDLE, DESTINATION, blocks * (block + 8), fields);
        const completed = index * (block + 8);
        expect(record).toMatchObject({ status: Status.dif, result: bit, completed, sourceTags: tagsAt(side, index) });
        if (opcode === Opcode.difCheck) continue;
        const written = device.memory.subarray(DESTINATION, DESTINATION + blocks * block);
        expect(Buffer.compare(written.subarray(0, index * block), expected.subarray(0, index * block))).toBe(0);
        expect(written.subarray(index * block).every((byte) => byte === 0xee)).toBe(true);
      }
    },
  );
  fc.assert(property, { numRuns: 40 });
});

describe('fields of ones', () => {
  const side = { reference: 7, mask: 0, application: 9 };
  const check = (field: readonly number[], flags: number): number => {
    scramble(SOURCE, 512, 3);
    device.memory.set(field, SOURCE + 512);
    return run(Opcode.difCheck, SOURCE, 0, 520, { difFlags: 0, sourceDif: { ...side, flags } }).result;
  };
  const ones = [255, 255, 255, 255, 255, 255, 255, 255];
  const tagOnes = [1, 1, ...ones.slice(2)];
  const applicationOnes = [1, 1, 255, 255, 0, 0, 0, 0];
  it.each([
    ['nothing detected', ones, 0, 7],
    ['all detected', ones, 2, 0],
    ['all detected, as an error', ones, 3, 8],
    ['an error only with the detection', ones, 1, 7],
    ['all: not without the guard', tagOnes, 3, 7],
    ['both tags', tagOnes, 8, 0],
    ['both tags: not one alone', applicationOnes, 8, 7],
    ['application tag', applicationOnes, 4, 0],
    ['guard, reference ignored', ones, 0x60, 2],
  ])('%s', (_, field, flags, result) => {
    expect(check(field, flags)).toBe(result);
  });
  it('a mask of ones hides the application tag', () => {
    scramble(SOURCE, 520, 3);
    const sourceDif = { reference: 0, mask: 0xffff, application: 1, flags: 0x60 };
    expect(run(Opcode.difCheck, SOURCE, 0, 520, { difFlags: 0, sourceDif })).toMatchObject({ status: Status.success });
  });
});

it.each([
  ['guard', 0x20, 0, 2],
  ['application tag', 0x08, 2, 4],
  ['reference tag', 0x40, 4, 8],
])('an update passes the %s on', (_, flags, from, to) => {
  scramble(SOURCE, 520, 11);
  const source = { reference: 5, mask: 0xffff, application: 6, flags: 0x60 };
  const destination = { reference: 1, mask: 0, application: 2, flags };
  run(Opcode.difUpdate, SOURCE, DESTINATION, 520, {
    difFlags: 0,
    sourceDif: { ...source, flags: 0x60 },
    destinationDif: destination,
  });
  const before = device.memory.slice(SOURCE, SOURCE + 520);
  const guard = guardOf(before.subarray(0, 512), 0);
  const expected = encodeField({ guard, application: 2, reference: 1 });
  expected.set(before.subarray(512 + from, 512 + to), from);
  expect([...device.memory.subarray(DESTINATION + 512, DESTINATION + 520)]).toEqual([...expected]);
});
