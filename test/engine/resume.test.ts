import { describe, expect, it } from 'vitest';

import { crc32c, crc64 } from './reference/crc.ts';
import { SIZES } from './reference/typed/elements.ts';
import { type CompletionRecord, type DescriptorFields, Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, PAGE, TestDevice, VERSION_2 } from './support/device.ts';

// Records, and the tests' other needs, are always mapped; data pages come and go.
const FIXED = 4;
const PAGES = 40;
const fixed = { start: 0, size: FIXED * PAGE, read: true, write: true };

interface Resumable {
  readonly name: string;
  readonly fields: DescriptorFields & { readonly size: number };
  /** The descriptor to go on with after a partial completion. */
  readonly next: (fields: Resumable['fields'], record: CompletionRecord) => Resumable['fields'];
  /** The final record's fields beside the status. */
  readonly result?: (memory: Uint8Array) => Partial<CompletionRecord>;
  /** Puts into memory what the operation needs to find there. */
  readonly prepare?: (memory: Uint8Array) => void;
}

const at = (value: number | bigint | undefined): number => Number(value ?? 0);
const forward: Resumable['next'] = (fields, { completed }) => ({
  ...fields,
  first: at(fields.first) + completed,
  second: at(fields.second) + completed,
  size: fields.size - completed,
});
const LOW = FIXED * PAGE + 3000;
const HIGH = 22 * PAGE + 777;
const SIZE = 9 * PAGE + 123;

const tags = { reference: 0xff00, mask: 0x00ff, application: 0x12f0 };
/** Tags that count, made. */
const made = { ...tags, flags: 0x10 };
/** Tags that count, and that nothing is compared with: memory has any. */
const unchecked = { ...tags, mask: 0xffff, flags: 0x70 };
/** Goes on with the tags that the record has. */
const dif =
  (sourceBlock: number, destinationBlock: number): Resumable['next'] =>
  (fields, { completed, sourceTags, destinationTags }) => ({
    ...fields,
    first: at(fields.first) + completed,
    ...(fields.second === undefined
      ? {}
      : { second: at(fields.second) + (completed / sourceBlock) * destinationBlock }),
    size: fields.size - completed,
    ...(fields.sourceDif === undefined ? {} : { sourceDif: { ...fields.sourceDif, ...sourceTags } }),
    ...(fields.destinationDif === undefined
      ? {}
      : { destinationDif: { ...fields.destinationDif, ...destinationTags } }),
  });

const cases: readonly Resumable[] = [
  {
    name: 'move upwards, overlapping',
    fields: { opcode: Opcode.memoryMove, first: BASE + LOW, second: BASE + LOW + 6000, size: SIZE },
    next: (fields, record) =>
      record.result === 1 ? { ...fields, size: fields.size - record.completed } : forward(fields, record),
  },
  {
    name: 'move downwards, overlapping',
    fields: { opcode: Opcode.memoryMove, first: BASE + HIGH, second: BASE + HIGH - 6000, size: SIZE },
    next: forward,
  },
  {
    name: 'move to elsewhere',
    fields: { opcode: Opcode.memoryMove, first: BASE + LOW, second: BASE + HIGH, size: SIZE },
    next: forward,
  },
  {
    name: 'fill',
    fields: { opcode: Opcode.fill, first: 0x1122334455667788n, second: BASE + LOW, size: SIZE },
    // The pattern's phase goes on where it was.
    next: (fields, { completed }) => ({
      ...fields,
      first: rotate(BigInt(fields.first ?? 0), completed % 8),
      second: at(fields.second) + completed,
      size: fields.size - completed,
    }),
  },
  {
    name: 'fill with 16 bytes',
    fields: {
      opcode: Opcode.fill,
      flags: Flag.pattern16,
      first: 0x1122334455667788n,
      third: 0x99aabbccddeeff01n,
      second: BASE + LOW,
      size: SIZE,
    },
    next: (fields, { completed }) => {
      const pattern = rotate(BigInt(fields.first ?? 0) | (BigInt(fields.third ?? 0) << 64n), completed % 16, 128);
      return {
        ...fields,
        first: BigInt.asUintN(64, pattern),
        third: pattern >> 64n,
        second: at(fields.second) + completed,
        size: fields.size - completed,
      };
    },
  },
  {
    name: 'compare',
    fields: { opcode: Opcode.compare, first: BASE + LOW, second: BASE + HIGH, size: SIZE },
    next: forward,
    result: () => ({ result: 1, completed: 0 }),
  },
  {
    name: 'dualcast',
    fields: {
      opcode: Opcode.dualcast,
      first: BASE + LOW,
      second: BASE + HIGH,
      third: BASE + HIGH + 11 * PAGE,
      size: 5 * PAGE,
    },
    next: (fields, record) => ({ ...forward(fields, record), third: at(fields.third) + record.completed }),
  },
  {
    name: 'CRC',
    fields: { opcode: Opcode.crcGeneration, first: BASE + LOW, size: SIZE, seed: 7 },
    next: (fields, { completed, extra }) => ({
      ...fields,
      first: at(fields.first) + completed,
      size: fields.size - completed,
      seed: completed === 0 ? (fields.seed ?? 0) : extra,
    }),
    result: (memory) => ({ extra: crc32c(7, memory.subarray(LOW, LOW + SIZE), { raw: false, straightData: false }) }),
  },
  {
    name: 'copy with CRC, raw',
    fields: {
      opcode: Opcode.copyWithCrc,
      flags: Flag.rawCrc,
      first: BASE + LOW,
      second: BASE + HIGH,
      size: SIZE,
      seed: 9,
    },
    next: (fields, record) => ({
      ...forward(fields, record),
      seed: record.completed === 0 ? (fields.seed ?? 0) : record.extra,
    }),
    result: (memory) => ({ extra: crc32c(9, memory.subarray(LOW, LOW + SIZE), { raw: true, straightData: false }) }),
  },
  {
    name: 'copy with CRC of 64 bits',
    fields: {
      opcode: Opcode.copyWithCrc,
      flags: Flag.crc64,
      first: BASE + LOW,
      second: BASE + HIGH,
      size: SIZE,
      third: 0x1234_5678_9abc_def0n,
    },
    next: (fields, record) => ({
      ...forward(fields, record),
      third: record.completed === 0 ? (fields.third ?? 0) : record.crc64,
    }),
    result: (memory) => ({
      crc64: crc64(0x1234_5678_9abc_def0n, memory.subarray(LOW, LOW + SIZE), { raw: false, straightData: false }),
    }),
  },
  {
    name: 'cache flush',
    fields: { opcode: Opcode.cacheFlush, second: BASE + LOW, size: SIZE },
    next: (fields, { completed }) => ({
      ...fields,
      second: at(fields.second) + completed,
      size: fields.size - completed,
    }),
  },
  {
    name: 'apply delta',
    fields: { opcode: Opcode.applyDelta, first: BASE + HIGH, second: BASE + LOW, size: 8 * 1200, seed: 10 * 1200 },
    // The destination stays; offsets count from its beginning.
    next: (fields, { completed }) => ({
      ...fields,
      first: at(fields.first) + completed,
      seed: at(fields.seed) - completed,
    }),
    prepare: (memory) => {
      for (let entry = 0; entry < 1200; entry++) new DataView(memory.buffer).setUint16(HIGH + 10 * entry, entry, true);
    },
  },
  {
    name: 'DIF check',
    fields: { opcode: Opcode.difCheck, first: BASE + LOW, size: 70 * 520, difFlags: 0, sourceDif: unchecked },
    next: dif(520, 0),
    result: () => ({
      sourceTags: { reference: tags.reference + 70, mask: 0xffff, application: tags.application + 70 },
    }),
  },
  {
    name: 'DIF insert',
    fields: {
      opcode: Opcode.difInsert,
      first: BASE + LOW,
      second: BASE + HIGH,
      size: 9 * 4096,
      difFlags: 2,
      destinationDif: made,
    },
    next: dif(4096, 4104),
    result: () => ({ destinationTags: { ...tags, reference: tags.reference + 9, application: tags.application + 9 } }),
  },
  {
    name: 'DIF strip',
    fields: {
      opcode: Opcode.difStrip,
      first: BASE + LOW,
      second: BASE + HIGH,
      size: 70 * 520,
      difFlags: 0,
      sourceDif: unchecked,
    },
    next: dif(520, 512),
  },
  {
    name: 'DIF update',
    fields: {
      opcode: Opcode.difUpdate,
      first: BASE + LOW,
      second: BASE + HIGH,
      size: 9 * 4112,
      difFlags: 3,
      sourceDif: unchecked,
      destinationDif: made,
    },
    next: dif(4112, 4112),
  },
  {
    name: 'DIX generate',
    fields: {
      opcode: Opcode.dixGenerate,
      first: BASE + LOW,
      // Fields on both sides of a page's end.
      second: BASE + 30 * PAGE - 256,
      size: 70 * 512,
      difFlags: 0,
      destinationDif: made,
    },
    next: dif(512, 8),
    result: () => ({
      destinationTags: { ...tags, reference: tags.reference + 70, application: tags.application + 70 },
    }),
  },
  {
    name: 'type conversion to a wider type',
    fields: {
      opcode: Opcode.typeConversion,
      first: BASE + LOW,
      second: BASE + HIGH + 3,
      size: 30_000,
      typed: { from: 4, to: 6, compute: 0, flags: 0 },
    },
    next: typed(1, 2),
  },
  {
    name: 'type conversion to a narrower type',
    fields: {
      opcode: Opcode.typeConversion,
      first: BASE + LOW,
      second: BASE + HIGH + 3,
      size: 8000,
      typed: { from: 3, to: 1, compute: 0, flags: 0x180 },
    },
    next: typed(8, 2),
  },
  {
    name: 'negation in place',
    fields: {
      opcode: Opcode.typeConversion,
      first: BASE + LOW,
      second: BASE + LOW,
      size: 4000,
      typed: { from: 9, to: 9, compute: 0, flags: 1 },
    },
    next: typed(8, 8),
  },
  {
    name: 'reduce in place',
    fields: {
      opcode: Opcode.reduce,
      first: BASE + LOW,
      second: BASE + HIGH - 1,
      third: BASE + LOW,
      size: 8000,
      typed: { from: 2, to: 2, compute: 1, flags: 0 },
    },
    next: typed(4, 4),
  },
  {
    name: 'reduce dualcast, the first destination in place',
    fields: {
      opcode: Opcode.reduceDualcast,
      first: BASE + LOW,
      second: BASE + HIGH - 1,
      third: BASE + LOW,
      fourth: BASE + HIGH + 9 * PAGE - 1,
      size: 8000,
      typed: { from: 2, to: 2, compute: 1, flags: 2 },
    },
    next: typed(4, 4),
  },
  {
    name: 'reduce dualcast, both destinations in place',
    fields: {
      opcode: Opcode.reduceDualcast,
      first: BASE + LOW,
      second: BASE + HIGH - 1,
      third: BASE + LOW,
      fourth: BASE + HIGH - 1,
      size: 8000,
      typed: { from: 2, to: 2, compute: 1, flags: 0 },
    },
    next: typed(4, 4),
  },
];

/** Goes on behind the elements that are done; they have these sizes. */
function typed(from: number, to: number): Resumable['next'] {
  return (fields, { completed }) => {
    const count = completed / from;
    const destination = fields.opcode === Opcode.typeConversion ? count * to : completed;
    return {
      ...fields,
      first: at(fields.first) + completed,
      second: at(fields.second) + destination,
      ...(fields.third === undefined ? {} : { third: at(fields.third) + count * to }),
      ...(fields.fourth === undefined ? {} : { fourth: at(fields.fourth) + count * to }),
      size: fields.size - count,
    };
  };
}

/** What `completed` counts of a whole descriptor. */
function bytesOf({ opcode, seed, size, typed: elements }: Resumable['fields']): number {
  if (opcode === Opcode.applyDelta) return at(seed);
  return elements === undefined ? size : size * (SIZES[elements.from] ?? 0);
}

function rotate(pattern: bigint, bytes: number, width = 64): bigint {
  const shift = BigInt(8 * bytes);
  return shift === 0n ? pattern : BigInt.asUintN(width, (pattern >> shift) | (pattern << (BigInt(width) - shift)));
}

function fill(device: TestDevice, compare: boolean): void {
  for (let i = FIXED * PAGE; i < PAGES * PAGE; i++) device.memory[i] = compare ? 0x55 : (i * 13 + (i >> 9)) & 0xff;
  // The comparison's only difference lies in its last byte.
  if (compare) device.memory[HIGH + SIZE - 1] = 0x56;
}

describe.each(cases)('$name', ({ fields, next, result, prepare: put }) => {
  const compare = fields.opcode === Opcode.compare;
  const prepare = (device: TestDevice): void => {
    fill(device, compare);
    put?.(device.memory);
  };

  it('faults at every page that is missing, and goes on to the same end', () => {
    using whole = new TestDevice({ pages: PAGES, capabilities: VERSION_2 });
    whole.enable();
    prepare(whole);
    const source = whole.memory.slice();
    const undisturbed = whole.execute(fields);
    expect(undisturbed.status).toBe(Status.success);
    const expected = result?.(source) ?? {};
    if (!compare) expect(undisturbed).toMatchObject(expected);

    using device = new TestDevice({ pages: PAGES, maps: [fixed], capabilities: VERSION_2 });
    device.enable();
    for (let missing = FIXED; missing < PAGES; missing++) {
      // All data but one page, which comes after the first fault.
      for (let page = FIXED; page < PAGES; page++) {
        if (page !== missing) device.map({ start: page * PAGE, size: PAGE, read: true, write: true });
      }
      prepare(device);
      let left = fields;
      let record = device.execute(left);
      if (record.status !== Status.success) {
        expect(record.status & 0x7f).toBe(Status.pageFault);
        expect(Math.floor((record.faultAddress - BASE) / PAGE)).toBe(missing);
        expect(record.completed).toBeLessThan(bytesOf(left));
        left = next(left, record);
        device.map({ start: missing * PAGE, size: PAGE, read: true, write: true });
        record = device.execute(left);
      } else {
        device.map({ start: missing * PAGE, size: PAGE, read: true, write: true });
      }
      expect(record.status).toBe(Status.success);
      if (compare) {
        expect(record.result).toBe(1);
        expect(at(left.first) + record.completed).toBe(BASE + LOW + SIZE - 1);
      } else {
        expect(record).toMatchObject(expected);
      }
      expect(Buffer.compare(device.memory.subarray(FIXED * PAGE), whole.memory.subarray(FIXED * PAGE))).toBe(0);
      for (let page = FIXED; page < PAGES; page++) device.unmap(page * PAGE, PAGE);
    }
  });

  it('goes on page by page from nothing', () => {
    using whole = new TestDevice({ pages: PAGES, capabilities: VERSION_2 });
    whole.enable();
    prepare(whole);
    const source = whole.memory.slice();
    whole.execute(fields);

    using device = new TestDevice({ pages: PAGES, maps: [fixed], capabilities: VERSION_2 });
    device.enable();
    prepare(device);
    let left = fields;
    let record = device.execute(left);
    let faults = 0;
    while (record.status !== Status.success) {
      expect(record.status & 0x7f).toBe(Status.pageFault);
      const page = Math.floor((record.faultAddress - BASE) / PAGE);
      device.map({ start: page * PAGE, size: PAGE, read: true, write: true });
      faults += 1;
      left = next(left, record);
      record = device.execute(left);
    }
    expect(faults).toBeGreaterThan(5);
    if (!compare) expect(record).toMatchObject(result?.(source) ?? {});
    expect(Buffer.compare(device.memory.subarray(FIXED * PAGE), whole.memory.subarray(FIXED * PAGE))).toBe(0);
  });
});

it('a batch goes on behind the members that are done when its list was cut', () => {
  using device = new TestDevice({ pages: PAGES, maps: [fixed] });
  device.enable();
  device.map({ start: FIXED * PAGE, size: PAGE, read: true, write: true });
  const list = (FIXED + 1) * PAGE - 3 * 64;
  const view = new DataView(device.memory.buffer);
  for (let i = 0; i < 8; i++) {
    view.setUint32(list + i * 64 + 4, (Opcode.fill << 24) >>> 0, true);
    view.setBigUint64(list + i * 64 + 16, BigInt(i + 1), true);
    view.setBigUint64(list + i * 64 + 24, BigInt(BASE + PAGE + i * 8), true);
    view.setUint32(list + i * 64 + 32, 8, true);
  }
  const cut = device.execute({ opcode: Opcode.batch, first: BASE + list, size: 8 });
  expect(cut).toMatchObject({
    status: Status.batchListFault,
    completed: 3,
    faultAddress: BASE + (FIXED + 1) * PAGE,
  });
  device.map({ start: (FIXED + 1) * PAGE, size: PAGE, read: true, write: true });
  const rest = device.execute({ opcode: Opcode.batch, first: BASE + list + 3 * 64, size: 5 });
  expect(rest).toMatchObject({ status: Status.success, completed: 5 });
  expect([...device.memory.subarray(PAGE, PAGE + 64)].filter((_, i) => i % 8 === 0)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
