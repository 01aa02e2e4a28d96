// What holds for every register block, whatever it declares.
import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  describe as describeBlock,
  type RegisterBlock,
  type RegisterDescription,
  RegisterRegion,
  type ResetKind,
} from '../../src/emulation/index.ts';
import {
  arbitraryAccesses,
  arbitraryBlock,
  type BlockOptions,
  performStep,
  type Step,
  viewAt,
} from '../support/registers.ts';
import { bytesOf, numberOf } from './support/bytes.ts';

const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

function bits(row: RegisterDescription, choose: (field: RegisterDescription['fields'][number]) => boolean): bigint {
  return row.fields
    .filter(choose)
    .reduce((mask, { msb, lsb }) => mask | (((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb)), 0n);
}

function values(region: RegisterRegion): ReadonlyMap<string, bigint> {
  return new Map(describeBlock(region.block, region).map(({ path, current }) => [path, current ?? 0n]));
}

/** A block, a state of it, and accesses to it. */
function scenario(
  options?: BlockOptions,
): fc.Arbitrary<{ block: RegisterBlock; before: readonly Step[]; steps: readonly Step[] }> {
  return arbitraryBlock(options).chain((block) =>
    fc.record({
      block: fc.constant(block),
      before: arbitraryAccesses(block, { device: true, maxLength: 20 }),
      steps: arbitraryAccesses(block, { maxLength: 20 }),
    }),
  );
}

function prepared(block: RegisterBlock, before: readonly Step[]): RegisterRegion {
  const region = new RegisterRegion(block);
  for (const step of before) performStep(region, step);
  return region;
}

test('the guest never changes read-only bits, nor bits of no field', () => {
  fc.assert(
    fc.property(scenario(), ({ block, before, steps }) => {
      const region = prepared(block, before);
      const old = values(region);
      for (const step of steps) performStep(region, step);
      for (const row of describeBlock(block, region)) {
        const writable = bits(row, ({ access }) => access !== 'ro' && access !== 'none');
        expect(((old.get(row.path) ?? 0n) ^ (row.current ?? 0n)) & ~writable, row.path).toBe(0n);
      }
    }),
    { numRuns: 300 },
  );
});

test('the guest reads zeros where fields are write-only and where no field is', () => {
  fc.assert(
    fc.property(scenario(), ({ block, before }) => {
      const region = prepared(block, before);
      const dump = new Uint8Array(block.size).fill(0xff);
      region.read(0, dump);
      for (const row of describeBlock(block)) {
        const readable = bits(row, ({ access }) => access !== 'wo' && access !== 'none');
        const seen = numberOf(dump.subarray(row.offset, row.offset + row.width / 8));
        expect(seen & ~readable, row.path).toBe(0n);
        dump.fill(0, row.offset, row.offset + row.width / 8);
      }
      expect(dump.every((byte) => byte === 0)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

// `widths` counts the bytes of an access, so blocks with it are left out. `commit` is no exception as long as the
// pieces come in ascending order. Counters differ: several pieces may be frozen where one access was not.
test('an access in pieces does what it does as a whole', () => {
  const piecewise = scenario({ widths: false }).chain(({ block, before, steps }) =>
    fc.record({
      block: fc.constant(block),
      before: fc.constant(before),
      steps: fc.constant(steps),
      cut: fc.integer({ min: 1, max: 5 }),
    }),
  );
  fc.assert(
    fc.property(piecewise, ({ block, before, steps, cut }) => {
      const whole = prepared(block, before);
      const pieces = prepared(block, before);
      for (const step of steps) {
        const expected = performStep(whole, step);
        if (step.op === 'write')
          for (let at = 0; at < step.data.length; at += cut)
            pieces.write(step.offset + at, step.data.subarray(at, at + cut));
        if (step.op === 'read') {
          const found = new Uint8Array(step.length);
          for (let at = 0; at < step.length; at += cut) pieces.read(step.offset + at, found.subarray(at, at + cut));
          expect(found.join(' ')).toBe(expected?.join(' '));
        }
      }
      expect(values(pieces)).toEqual(values(whole));
    }),
    { numRuns: 400 },
  );
});

test('write one to clear clears what is written, never sets, and is idempotent', () => {
  const clearableRows = (block: RegisterBlock): readonly RegisterDescription[] =>
    describeBlock(block).filter((row) => bits(row, ({ access }) => access === 'w1c') !== 0n);
  const blocks = arbitraryBlock({ access: ['w1c', 'rw', 'ro'] }).filter((block) => clearableRows(block).length > 0);
  const clearable = blocks.chain((block) =>
    fc.record({
      block: fc.constant(block),
      before: arbitraryAccesses(block, { device: true, maxLength: 20 }),
      row: fc.constantFrom(...clearableRows(block)),
      data: word,
      held: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(clearable, ({ block, before, row, data, held }) => {
      const region = prepared(block, before);
      if (!held) region.reset('cold');
      const w1c = bits(row, ({ access }) => access === 'w1c');
      const write = (): bigint => {
        region.write(row.offset, bytesOf(data, row.width / 8));
        return values(region).get(row.path) ?? 0n;
      };
      const old = values(region).get(row.path) ?? 0n;
      const once = write();
      const twice = write();
      expect(once & ~old & w1c).toBe(0n);
      expect((once ^ twice) & w1c).toBe(0n);
      const allowed = row.widths.length === 0 || row.widths.some((width) => width === row.width / 8);
      if (!held && allowed) expect(once & w1c).toBe(old & ~data & w1c);
    }),
    { numRuns: 500 },
  );
});

test('a held lock freezes what it covers, and nothing else', () => {
  const locked = arbitraryBlock().chain((block) => {
    const rows = describeBlock(block);
    const names = [...new Set(rows.flatMap((row) => row.fields.flatMap(({ locks }) => locks)))];
    return fc.record({
      block: fc.constant(block),
      names: fc.subarray(names),
      steps: arbitraryAccesses(block, { maxLength: 30 }),
    });
  });
  fc.assert(
    fc.property(locked, ({ block, names, steps }) => {
      const region = new RegisterRegion(block);
      const free = new RegisterRegion(block);
      hold(region, names);
      const reset = values(region);
      for (const step of steps) {
        performStep(region, step);
        performStep(free, step);
      }
      const unlocked = values(free);
      for (const row of describeBlock(block, region)) {
        const current = row.current ?? 0n;
        const frozen = bits(row, ({ locks, access }) => access !== 'rc' && locks.some((lock) => names.includes(lock)));
        const others = bits(row, ({ locks }) => !locks.some((lock) => names.includes(lock)));
        expect((current ^ (reset.get(row.path) ?? 0n)) & frozen, row.path).toBe(0n);
        expect((current ^ (unlocked.get(row.path) ?? 0n)) & others, row.path).toBe(0n);
      }
    }),
    { numRuns: 400 },
  );
});

/** Holds locks by name: of the block, and of every array element. */
function hold(region: RegisterRegion, names: readonly string[]): void {
  const take = (locks: object): void => {
    for (const name of names) if (name in locks) (locks as Record<string, boolean>)[name] = true;
  };
  take(region.locks);
  for (const [name, item] of Object.entries(region.block.registers)) {
    if (item.kind !== 'array' || item.locks.length === 0) continue;
    for (const element of (region.registers as Record<string, unknown>)[name] as readonly { locks: object }[])
      take(element.locks);
  }
}

test('a reset restores what does not survive it and leaves the rest alone', () => {
  fc.assert(
    fc.property(scenario(), fc.constantFrom<ResetKind>('cold', 'function', 'software'), ({ block, before }, kind) => {
      const region = prepared(block, before);
      const old = values(region);
      region.reset(kind);
      for (const row of describeBlock(block, region)) {
        const whole = row.constant || row.survives.includes(kind) ? (1n << BigInt(row.width)) - 1n : 0n;
        const kept = whole | bits(row, ({ survives }) => survives.includes(kind));
        expect(row.current, row.path).toBe(((old.get(row.path) ?? 0n) & kept) | (row.reset & ~kept));
      }
    }),
    { numRuns: 300 },
  );
});

test('a restored snapshot is the same region: state, locks and staged bytes', () => {
  fc.assert(
    fc.property(scenario(), ({ block, before, steps }) => {
      const region = prepared(block, before);
      const bytes = region.snapshot();
      const copy = new RegisterRegion(block);
      copy.restore(bytes);
      expect(copy.snapshot()).toEqual(bytes);
      for (const step of steps) expect(performStep(copy, step)?.join(' ')).toBe(performStep(region, step)?.join(' '));
      expect(copy.snapshot()).toEqual(region.snapshot());
    }),
    { numRuns: 300 },
  );
});

test('a write to one register changes no other', () => {
  const aimed = arbitraryBlock().chain((block) =>
    fc.record({
      block: fc.constant(block),
      before: arbitraryAccesses(block, { device: true, maxLength: 20 }),
      row: fc.constantFrom(...describeBlock(block)),
      data: word,
      byDevice: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(aimed, ({ block, before, row, data, byDevice }) => {
      const region = prepared(block, before);
      const old = values(region);
      if (byDevice) {
        const view = viewAt(region, row.path);
        const value = data & ((1n << BigInt(row.width)) - 1n);
        view.value = row.width === 64 ? value : Number(value);
        expect(BigInt(view.value)).toBe(value);
      } else {
        region.write(row.offset, bytesOf(data, row.width / 8));
      }
      for (const [path, value] of values(region)) if (path !== row.path) expect(value, path).toBe(old.get(path));
    }),
    { numRuns: 300 },
  );
});

test('two regions of one table share nothing', () => {
  fc.assert(
    fc.property(scenario(), ({ block, before, steps }) => {
      const region = prepared(block, before);
      const other = new RegisterRegion(region.table);
      const bytes = other.snapshot();
      for (const step of steps) performStep(region, step);
      expect(other.snapshot()).toEqual(bytes);
    }),
    { numRuns: 100 },
  );
});
