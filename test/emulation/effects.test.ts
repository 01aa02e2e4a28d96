import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

import {
  array,
  compile,
  describe as describeBlock,
  group,
  lockEffect,
  offsetOf,
  reg32,
  reg64,
  registerBlock,
  type RegisterEffect,
  RegisterRegion,
  ro,
  rw,
  wordEffect,
} from '../../src/emulation/index.ts';
import { arbitraryBlock, viewAt } from '../support/registers.ts';

const block = registerBlock(0x200, {
  STATUS: reg32(0x00, { error: ro(7, 0), result: ro(23, 8), active: ro(31) }, { shared: true }),
  ERROR: reg64(0x08, { valid: ro(0), code: ro(15, 8), across: ro(40, 24) }, { shared: true }),
  PLAIN: reg32(0x10, { a: rw(0) }, { lockedBy: 'frozen' }),
  G: group(0x20, { S: reg32(4, { state: ro(1, 0) }, { shared: true, lockedBy: 'cold' }) }),
  Q: array(
    0x100,
    0x10,
    3,
    { STATE: reg32(4, { count: ro(15, 0), state: ro(31, 30) }, { shared: true, lockedBy: ['enabled', 'frozen'] }) },
    { locks: ['enabled'] },
  ),
});

/** What an engine does. */
function apply(memory: ArrayBuffer, effects: readonly RegisterEffect[]): void {
  const words = new Uint32Array(memory);
  for (const { offset, operation, value } of effects) {
    const word = offset / 4;
    words[word] =
      operation === 'store' ? value : operation === 'or' ? (words[word] ?? 0) | value : (words[word] ?? 0) & value;
  }
}

describe('effects', () => {
  it('store whole words, clear and set the others', () => {
    expect(wordEffect(block, 'STATUS', { error: 0, result: 0x1234, active: true })).toEqual([
      { offset: 0, operation: 'store', value: 0x8012_3400 },
    ]);
    expect(wordEffect(compile(block), 'STATUS', { active: false })).toEqual([
      { offset: 0, operation: 'and', value: 0x7fff_ffff },
    ]);
    expect(wordEffect(block, 'STATUS', { result: 0xf000, active: true })).toEqual([
      { offset: 0, operation: 'and', value: 0xfff0_00ff },
      { offset: 0, operation: 'or', value: 0x80f0_0000 },
    ]);
    expect(wordEffect(block, `Q[2].STATE`, { state: 1 })).toEqual([
      { offset: 0x124, operation: 'and', value: 0x7fff_ffff },
      { offset: 0x124, operation: 'or', value: 0x4000_0000 },
    ]);
    expect(wordEffect(block, 'ERROR', { across: 0x1ffff })).toEqual([
      { offset: 0x08, operation: 'or', value: 0xff00_0000 },
      { offset: 0x0c, operation: 'store', value: 0x1ff },
    ]);
    expect(wordEffect(block, 'G.S', {})).toEqual([]);
  });

  it('hold and release locks', () => {
    const region = new RegisterRegion(block);
    apply(region.memory, lockEffect(block, 'frozen', true));
    apply(region.memory, lockEffect(region.table, ['Q', 1, 'enabled'], true));
    expect(region.locks).toEqual({ frozen: true, cold: false });
    expect(region.registers.Q.map(({ locks }) => locks.enabled)).toEqual([false, true, false]);
    apply(region.memory, lockEffect(block, 'frozen', false));
    apply(region.memory, lockEffect(block, ['Q', 1, 'enabled'], false));
    expect(region.locks.frozen).toBe(false);
    expect(region.registers.Q[1]?.locks.enabled).toBe(false);
  });

  it('say what is wrong', () => {
    const path = (name: string): never => name as never;
    expect(() => wordEffect(block, 'PLAIN', { a: true })).toThrow('PLAIN: only shared registers have effects');
    expect(() => wordEffect(block, path('Q[3].STATE'), {})).toThrow('Q[3].STATE: there is no such register');
    expect(() => wordEffect(block, 'STATUS', path({ errors: 1 } as never))).toThrow('STATUS: there is no field errors');
    expect(() => wordEffect(block, 'STATUS', { error: 256 })).toThrow('STATUS.error: 256 does not fit in 8 bits');
    expect(() => lockEffect(block, path('thawed'), true)).toThrow('lock thawed: the block has no such lock');
    expect(() => lockEffect(block, ['Q', 3, 'enabled'], true)).toThrow('lock Q[3].enabled: the array has 3 elements');
    expect(() => lockEffect(block, ['Q', 0, path('frozen')], true)).toThrow(
      'lock Q[].frozen: the array has no such lock',
    );
    expect(() => lockEffect(block, [path('R'), 0, 'enabled'], true)).toThrow('lock R[].enabled');
  });

  it('know offsets', () => {
    expect(offsetOf(block, 'Q[2].STATE')).toBe(0x124);
    expect(offsetOf(compile(block), 'G.S')).toBe(0x24);
    expect(() => offsetOf(block, 'G.T' as never)).toThrow('G.T: there is no such register');
  });
});

test('an effect does what the device side does', () => {
  const cases = arbitraryBlock({ access: ['ro', 'rw', 'w1c'] })
    .filter((candidate) => describeBlock(candidate).some(({ shared }) => shared))
    .chain((candidate) =>
      fc.record({
        candidate: fc.constant(candidate),
        row: fc.constantFrom(...describeBlock(candidate).filter(({ shared }) => shared)),
        raw: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 12, maxLength: 12 }),
        chosen: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      }),
    );
  fc.assert(
    fc.property(cases, ({ candidate, row, raw, chosen }) => {
      const values = Object.fromEntries(
        row.fields.flatMap(({ name, msb, lsb, reset }, i) => {
          if (chosen[i] !== true) return [];
          const bits = (raw[i] ?? 0n) & ((1n << BigInt(msb - lsb + 1)) - 1n);
          return [[name, typeof reset === 'boolean' ? bits === 1n : typeof reset === 'number' ? Number(bits) : bits]];
        }),
      );
      const byEffect = new RegisterRegion(candidate);
      const byDevice = new RegisterRegion(candidate);
      apply(byEffect.memory, wordEffect(candidate, row.path, values as never));
      Object.assign(viewAt(byDevice, row.path), values);
      expect(byEffect.snapshot()).toEqual(byDevice.snapshot());
    }),
    { numRuns: 300 },
  );
});
