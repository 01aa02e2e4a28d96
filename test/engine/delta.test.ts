import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { type CompletionRecord, Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice } from './support/device.ts';

/** Transfers of up to 512 KiB, which no delta exceeds, over maps of many sizes. */
const AREA = 136 * PAGE;
const MOST = 0x80000;
const FIRST = 8 * PAGE;
const SECOND = FIRST + AREA;
const DELTA = SECOND + AREA;
const PAGES = (DELTA + 2 * AREA) / PAGE;
const maps: Map[] = [];
for (let page = 0, size = 1; page < PAGES; page += size, size = (size % 7) + 1) {
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

interface Sources {
  readonly first: number;
  readonly second: number;
  readonly size: number;
}

function create(
  { first, second, size }: Sources,
  most: number,
  delta = DELTA,
  expectedMask?: number,
): CompletionRecord {
  return device.execute({
    opcode: Opcode.createDelta,
    flags: expectedMask === undefined ? 0 : Flag.checkResult,
    first: BASE + first,
    second: BASE + second,
    third: BASE + delta,
    size,
    most,
    ...(expectedMask === undefined ? {} : { expectedMask }),
  });
}

function apply(destination: number, size: number, deltaSize: number, delta = DELTA): CompletionRecord {
  const fields = { first: BASE + delta, second: BASE + destination, size, seed: deltaSize };
  return device.execute({ opcode: Opcode.applyDelta, ...fields });
}

/** Words in which the sources differ. */
function differing({ first, second, size }: Sources): number[] {
  const words = (at: number): BigUint64Array => new BigUint64Array(device.memory.slice(at, at + size).buffer);
  const after = words(second);
  return [...words(first).entries()].filter(([index, word]) => word !== after[index]).map(([index]) => index);
}

const word = fc.integer({ min: 0, max: 500 }).map((index) => 8 * index);
const size = fc.oneof(
  fc.integer({ min: 1, max: 40 }).map((words) => 8 * words),
  fc.integer({ min: 1, max: MOST / 8 }).map((words) => 8 * words),
  fc.constantFrom(8, 65528, 65536, 65544, MOST),
);
const sources = fc.record({ first: word.map((at) => FIRST + at), second: word.map((at) => SECOND + at), size });
/** One of so many words differs. */
const sparseness = fc.constantFrom(1, 2, 50, 3000, 1e9);

function fill({ first, second, size }: Sources, sparse: number, seed: number): void {
  let state = seed | 1;
  for (let at = 0; at < size; at += 8) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    device.memory.fill(state >>> 24, first + at, first + at + 8);
    device.memory.fill(state >>> 24, second + at, second + at + 8);
    if ((state >>> 8) % sparse === 0) device.memory[second + at + ((state >>> 3) & 7)] = (state >>> 16) & 0xff;
  }
}

it('the worked example: sixteen words that differ, and room for eight', () => {
  device.memory.fill(1, FIRST, FIRST + 128);
  device.memory.fill(2, SECOND, SECOND + 128);
  const record = create({ first: FIRST, second: SECOND, size: 128 }, 80);
  expect(record).toMatchObject({ status: Status.success, result: 2, extra: 80, completed: 64 });
  expect([...device.memory.subarray(DELTA + 70, DELTA + 80)]).toEqual([7, 0, 2, 2, 2, 2, 2, 2, 2, 2]);
});

it('holds the words that differ and no others, and makes the second source of the first', () => {
  const property = fc.property(sources, sparseness, fc.integer(), fc.nat({ max: 63 }), (where, sparse, seed, shift) => {
    fill(where, sparse, seed);
    const differ = differing(where);
    const delta = DELTA + shift;
    const record = create(where, 10 * (MOST / 8) + 80, delta);
    expect(record).toMatchObject({
      status: Status.success,
      result: differ.length > 0 ? 1 : 0,
      completed: 0,
      extra: 10 * differ.length,
    });
    const entries = new DataView(device.memory.buffer, delta, record.extra);
    const offsets = Array.from({ length: differ.length }, (_, index) => entries.getUint16(10 * index, true));
    expect(offsets).toEqual(differ);
    if (differ.length === 0) return;
    expect(apply(where.first, where.size, record.extra, delta)).toMatchObject({ status: Status.success, completed: 0 });
    expect(differing(where)).toEqual([]);
  });
  fc.assert(property, { numRuns: 40 });
});

it('that has no room for all goes on behind what it has', () => {
  const most = fc.constantFrom(80, 89, 90, 1000, 4110, 4120, 50_000);
  const property = fc.property(sources, sparseness, fc.integer(), most, (where, sparse, seed, room) => {
    // As many rounds as a test may take.
    const short = { ...where, size: Math.min(where.size, 8 * room) };
    fill(short, sparse, seed);
    let left = short;
    for (;;) {
      const differ = differing(left);
      const entries = Math.floor(room / 10);
      const record = create(left, room);
      const next = differ[entries];
      expect(record).toMatchObject({
        status: Status.success,
        result: next === undefined ? Math.min(differ.length, 1) : 2,
        extra: 10 * Math.min(differ.length, entries),
        completed: 8 * (next ?? 0),
      });
      if (record.extra > 0) apply(left.first, left.size, record.extra);
      if (record.result !== 2) break;
      const done = record.completed;
      left = { first: left.first + done, second: left.second + done, size: left.size - done };
    }
    expect(differing(short)).toEqual([]);
  });
  fc.assert(property, { numRuns: 25 });
});

it.each([0, 1, 2, 3, 4, 5, 6, 7])('with the results of mask %i expected', (mask) => {
  const where = { first: FIRST, second: SECOND, size: 128 };
  for (const [result, differ] of [0, 3, 16].entries()) {
    device.memory.fill(0, FIRST, FIRST + 128);
    device.memory.fill(0, SECOND, SECOND + 128).fill(1, SECOND, SECOND + 8 * differ);
    const status = ((mask >> result) & 1) === 1 ? Status.success : Status.predicateFalse;
    // Bits 7 to 3 say nothing.
    expect(create(where, 80, DELTA, mask | 0xa8)).toMatchObject({ status, result });
  }
});

it('a record out of order, or with an offset outside, is applied up to there', () => {
  const entries = (...offsets: number[]): number => {
    const view = new DataView(device.memory.buffer, DELTA);
    for (const [index, offset] of offsets.entries()) {
      view.setUint16(10 * index, offset, true);
      view.setBigUint64(10 * index + 2, BigInt(index + 1), true);
    }
    return 10 * offsets.length;
  };
  const word = (index: number): bigint => new DataView(device.memory.buffer).getBigUint64(FIRST + 8 * index, true);
  const cases = [
    { offsets: [1, 3, 3], status: Status.deltaOrder, completed: 20 },
    { offsets: [1, 3, 2, 5], status: Status.deltaOrder, completed: 20 },
    { offsets: [1, 3, 16, 17], status: Status.deltaOffset, completed: 20 },
    { offsets: [16], status: Status.deltaOffset, completed: 0 },
    { offsets: [0, 15], status: Status.success, completed: 0 },
  ];
  for (const { offsets, status, completed } of cases) {
    device.memory.fill(0, FIRST, FIRST + 256);
    expect(apply(FIRST, 128, entries(...offsets))).toMatchObject({ status, completed });
    const applied = status === Status.success ? offsets.length : completed / 10;
    for (const [index, offset] of offsets.slice(0, applied).entries()) expect(word(offset)).toBe(BigInt(index + 1));
    expect(Array.from({ length: 32 }, (_, index) => word(index)).filter((value) => value !== 0n)).toHaveLength(applied);
  }
});

it('goes on behind every page that was missing, to records that do the same', () => {
  const first = 2 * PAGE;
  const size = 4 * PAGE + 800;
  const second = 8 * PAGE + 400;
  const delta = 16 * PAGE + 77;
  const pages = 32;
  using other = new TestDevice({ pages, maps: [{ start: 0, size: PAGE, read: true, write: true }] });
  other.enable();
  let faults = 0;
  for (let missing = 2; missing < pages; missing++) {
    for (let page = 2; page < pages; page++) {
      if (page !== missing) other.map({ start: page * PAGE, size: PAGE, read: true, write: true });
    }
    for (let i = first; i < pages * PAGE; i++) other.memory[i] = (i * 13 + (i >> 9)) & 0xff;
    const expected = other.memory.slice(second, second + size);
    let left = { first: BASE + first, second: BASE + second, third: BASE + delta, size, most: 40_000 };
    let record = other.execute({ opcode: Opcode.createDelta, ...left });
    const parts = [];
    if (record.status !== Status.success) {
      faults += 1;
      const inRecord = (record.status & 0x80) !== 0;
      expect(Math.floor((record.faultAddress - BASE) / PAGE)).toBe(missing);
      expect(inRecord).toBe(missing >= 16);
      expect(record.result).toBe(record.extra > 0 ? 1 : 0);
      parts.push({ at: left, deltaSize: record.extra });
      const { completed, extra } = record;
      left = {
        first: left.first + completed,
        second: left.second + completed,
        third: left.third + extra,
        size: left.size - completed,
        most: left.most - extra,
      };
      other.map({ start: missing * PAGE, size: PAGE, read: true, write: true });
      record = other.execute({ opcode: Opcode.createDelta, ...left });
    } else {
      other.map({ start: missing * PAGE, size: PAGE, read: true, write: true });
    }
    expect(record.status).toBe(Status.success);
    parts.push({ at: left, deltaSize: record.extra });
    // Each part's offsets count from where it began.
    for (const { at, deltaSize } of parts) {
      if (deltaSize === 0) continue;
      const applied = { opcode: Opcode.applyDelta, first: at.third, second: at.first, size: at.size, seed: deltaSize };
      expect(other.execute(applied).status).toBe(Status.success);
    }
    expect(Buffer.compare(other.memory.subarray(first, first + size), expected)).toBe(0);
    for (let page = 2; page < pages; page++) other.unmap(page * PAGE, PAGE);
  }
  expect(faults).toBeGreaterThan(15);
});
