import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  array,
  type Fields,
  group,
  lockedBy,
  reg16,
  reg32,
  reg64,
  reg8,
  type Register,
  type RegisterOptions,
  registerBlock,
  type Registers,
  ro,
  rw,
  surviving,
  w1c,
} from '../../src/emulation/index.ts';

const declare =
  (registers: Registers, size = 0x100) =>
  (): unknown =>
    registerBlock(size, registers);
const A = (fields: Fields, options?: RegisterOptions): Registers => ({ A: reg32(0, fields, options ?? {}) });

describe('a declaration is plain data', () => {
  it('keeps what was written', () => {
    const fields = { enable: rw(0), burst: lockedBy('busy', rw(7, 4)), state: ro(9, 8, { idle: 0 }) };
    const block = registerBlock(8, { CONTROL: reg32(4, fields, { reset: 0x10 }) });
    expect(block).toEqual({
      kind: 'block',
      size: 8,
      registers: {
        CONTROL: {
          kind: 'register',
          width: 32,
          offset: 4,
          options: { reset: 0x10 },
          fields: {
            enable: { kind: 'field', access: 'rw', msb: 0, lsb: 0, flag: true, locks: [], survives: [] },
            burst: { kind: 'field', access: 'rw', msb: 7, lsb: 4, flag: false, locks: ['busy'], survives: [] },
            state: {
              kind: 'field',
              access: 'ro',
              msb: 9,
              lsb: 8,
              flag: false,
              values: { idle: 0 },
              locks: [],
              survives: [],
            },
          },
        },
      },
    });
  });

  it('adds up resets that a field survives, and knows their names', () => {
    expect(surviving('software', surviving(['cold', 'function'], rw(0))).survives).toEqual([
      'cold',
      'function',
      'software',
    ]);
    expect(() => registerBlock(4, { A: reg32(0, { a: surviving('warm' as 'cold', rw(0)) }) })).toThrow(
      'A.a: "warm" is not one of cold, function, software',
    );
  });

  it('adds up locks', () => {
    expect(lockedBy('a', lockedBy(['b', 'c'], rw(0))).locks).toEqual(['b', 'c', 'a']);
  });
});

describe('what a declaration must not say', () => {
  it.each<readonly [string, () => unknown, string]>([
    ['overlap', declare({ A: reg32(0, {}), B: reg8(3, {}) }), 'B: overlaps A at offset 0x3'],
    [
      'overlap of an array and a register',
      declare({ A: array(0, 8, 4, { X: reg32(0, {}) }), B: reg32(0x18, {}) }),
      'B: overlaps A[3].X at offset 0x18',
    ],
    ['misalignment', declare({ A: reg32(2, {}) }), 'A: offset 0x2 is not a multiple of its 4 bytes'],
    [
      'misalignment of a later element',
      declare({ A: array(0, 6, 2, { X: reg32(0, {}) }) }),
      'A[1].X: offset 0x6 is not a multiple of its 4 bytes',
    ],
    [
      'misalignment by a group',
      declare({ G: group(4, { X: reg64(0, {}) }) }),
      'G.X: offset 0x4 is not a multiple of its 8 bytes',
    ],
    ['a place outside', declare({ A: reg32(0x100, {}) }), 'A: offset 0x100 lies outside the block of 0x100 bytes'],
    ['a negative offset', declare({ A: reg32(-4, {}) }), 'A: offset -4 is not a byte offset'],
    ['a fractional offset', declare({ G: group(0.5, {}) }), 'G: offset 0.5 is not a byte offset'],
    ['bits outside', declare(A({ f: rw(32, 1) })), 'A.f: bits 32:1 are not inside 31:0'],
    ['bits upside down', declare(A({ f: rw(1, 3) })), 'A.f: bits 1:3 are not inside 31:0'],
    ['overlapping fields', declare(A({ f: rw(7, 0), g: w1c(7) })), 'A.g: bits 7 overlap another field'],
    ['a reset value of no field', declare(A({ f: rw(3, 0) }, { reset: 0x10 })), 'A: reset 0x10 sets bits of no field'],
    ['a negative reset value', declare(A({ f: rw(31, 0) }, { reset: -1 })), 'A: reset 0x-1 sets bits of no field'],
    ['a reset value that is inexact', declare(A({}, { reset: 2 ** 60 })), 'use a bigint'],
    [
      'named values that do not fit',
      declare(A({ f: rw(1, 0, { four: 4 }) })),
      'A.f: value four = 4 does not fit in bits 1:0',
    ],
    ['a field called value', declare(A({ value: rw(0) })), 'A.value: "value" is the name of'],
    ['a field with a dot', declare(A({ 'a.b': rw(0) })), 'A.a.b: "a.b" is not a name'],
    ['a register with a bracket', declare({ 'A[0]': reg8(0, {}) }), '"A[0]" is not a name'],
    ['a shared byte', declare({ A: reg8(0, {}, { shared: true }) }), 'A: a shared register has 4 or 8 bytes, not 1'],
    ['a shared short', declare({ A: reg16(0, {}, { shared: true }) }), 'A: a shared register has 4 or 8 bytes, not 2'],
    ['no widths', declare(A({}, { widths: [] })), 'A: widths allow no write'],
    [
      'too wide writes',
      declare(A({}, { widths: [8] })),
      "A: width 8 is not 1, 2, 4 or 8 within the register's 4 bytes",
    ],
    ['odd writes', declare(A({}, { widths: [3 as 4] })), 'A: width 3 is not'],
    [
      'a byte that commits',
      declare({ A: reg8(0, {}, { commit: 'last' }) }),
      "A: commit 'last' needs more than one byte",
    ],
    [
      'an unknown reset',
      declare(A({}, { survives: ['warm' as 'cold'] })),
      'A: "warm" is not one of cold, function, software',
    ],
    [
      'constant and survives',
      declare(A({}, { constant: true, survives: ['cold'] })),
      'A: constant survives every reset',
    ],
    ['a lock without a name', declare(A({}, { lockedBy: '' })), 'A: lock "" is not a name'],
    [
      'an element lock that locks nothing',
      declare({ A: array(0, 4, 2, { X: reg32(0, {}, { lockedBy: 'enable' }) }, { locks: ['enabled'] }) }),
      'A: no register of the element is locked by "enabled"',
    ],
    [
      'an element lock twice',
      declare({ A: array(0, 4, 2, { X: reg32(0, {}, { lockedBy: 'on' }) }, { locks: ['on', 'on'] }) }),
      'A: locks on, on name one twice',
    ],
    [
      'a register called locks in an element',
      declare({ A: array(0, 4, 2, { locks: reg32(0, {}) }) }),
      'A[].locks: "locks" is the name of',
    ],
    [
      'an element beyond its stride',
      declare({ A: array(0, 4, 2, { X: reg32(4, {}) }) }),
      'A[].X: offset 0x4 lies outside the stride',
    ],
    ['fewer than no elements', declare({ A: array(0, 4, -1, { X: reg32(0, {}) }) }), 'A: count -1 is not an integer'],
    [
      'too many elements',
      declare({ A: array(0, 4, 1e9, { X: reg32(0, {}) }) }),
      'A: count 1000000000 is not an integer',
    ],
    ['no stride', declare({ A: array(0, 0, 2, { X: reg32(0, {}) }) }), 'A: stride 0 is not a positive integer'],
    ['no size', declare({}, 0), 'registerBlock: size 0 is not an integer from 1'],
    [
      'a size beyond the index',
      declare({}, 2 ** 28),
      'registerBlock: size 268435456 is not an integer from 1 to 268431360',
    ],
    [
      'too many registers',
      declare(
        { A: array(0, 1, 40_000, { X: reg8(0, {}) }), B: array(0x10000, 1, 40_000, { X: reg8(0, {}) }) },
        0x20000,
      ),
      'registerBlock: 80000 registers, at most 65535 allowed',
    ],
    [
      'too many locks',
      declare({ A: reg32(0, {}, { lockedBy: Array.from({ length: 33 }, (_, i) => `lock${i}`) }) }),
      'registerBlock: 33 locks',
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });

  it('accepts 32 locks and says their names in order', () => {
    const locks = Array.from({ length: 32 }, (_, i) => `lock${i}`);
    expect(declare({ A: reg32(0, { a: rw(0) }, { lockedBy: locks }) })).not.toThrow();
  });

  it('finds every overlap, wherever it is', () => {
    const declarers: Readonly<Record<number, (offset: number, fields: Fields) => Register>> = {
      1: reg8,
      2: reg16,
      4: reg32,
      8: reg64,
    };
    const register = fc.record({ bytes: fc.constantFrom(1, 2, 4, 8), slot: fc.nat({ max: 15 }) });
    fc.assert(
      fc.property(fc.array(register, { minLength: 1, maxLength: 6 }), (specs) => {
        const bytes = specs.flatMap((spec) => Array.from({ length: spec.bytes }, (_, i) => spec.slot * spec.bytes + i));
        const overlap = new Set(bytes).size < bytes.length;
        const registers = Object.fromEntries(
          specs.map((spec, i) => [`R${i}`, (declarers[spec.bytes] ?? reg8)(spec.slot * spec.bytes, {})]),
        );
        if (overlap) expect(declare(registers)).toThrow('overlaps');
        else expect(declare(registers)).not.toThrow();
      }),
    );
  });
});
