import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  canConvert,
  ComputeFlag,
  CONVERSIONS,
  Elements,
  Exception,
  SIZES,
  type TypedFields,
} from './reference/typed/elements.ts';
import { decode, FORMATS, isDenormal, type Place, placeOf, round, ROUNDINGS } from './reference/typed/float.ts';
import { Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, PAGE, TestDevice } from './support/device.ts';

const SOURCE = PAGE;
const AREA = 8 * 65536;
const DESTINATION = SOURCE + AREA;
const PAGES = (DESTINATION + AREA) / PAGE;

let device: TestDevice;
beforeAll(() => {
  device = new TestDevice({ pages: PAGES });
  device.enable();
});
afterAll(() => {
  device[Symbol.dispose]();
});

type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** `count` elements of a type in guest memory. */
function elements(type: number, at: number, count: number): Words {
  const { buffer } = device.memory;
  switch (SIZES[type]) {
    case 1:
      return new Uint8Array(buffer, at, count);
    case 2:
      return new Uint16Array(buffer, at, count);
    case 4:
      return new Uint32Array(buffer, at, count);
    default:
      return new BigUint64Array(buffer, at, count);
  }
}

const bitsOf = (words: Words, index: number): bigint => BigInt(words[index] ?? 0);
function put(words: Words, index: number, bits: bigint): void {
  if (words instanceof BigUint64Array) words[index] = bits;
  else words[index] = Number(bits);
}

/** Converts what lies at the source, and returns the exceptions. */
function convert(fields: TypedFields, count: number): number {
  const record = device.execute({
    opcode: Opcode.typeConversion,
    first: BASE + SOURCE,
    second: BASE + DESTINATION,
    size: count,
    typed: fields,
  });
  expect(record).toMatchObject({ status: Status.success, completed: 0 });
  return record.result;
}

const { flushToZero, denormalsAreZero, negateFirst, signed, saturate } = ComputeFlag;

/** Everything of one input that does not depend on modes. */
interface Input {
  readonly bits: number;
  readonly negative: boolean;
  readonly denormal: boolean;
  readonly place: Place | undefined;
}

function never(): never {
  throw new Error('no such input');
}

function inputs(from: number, to: number): Input[] {
  const source = FORMATS[from];
  const target = FORMATS[to];
  if (source === undefined || target === undefined) throw new Error('no format');
  return Array.from({ length: 1 << (8 * (SIZES[from] ?? 0)) }, (_, bits) => {
    const value = decode(source, BigInt(bits));
    return {
      bits,
      negative: value.negative,
      denormal: isDenormal(source, value),
      place: value.kind === 'finite' ? placeOf(target, value.magnitude) : undefined,
    };
  });
}

const floats = [4, 5, 6, 7].flatMap((from) =>
  [4, 5, 6, 7, 8].filter((to) => canConvert(from, to)).map((to) => ({ from, to })),
);

describe.each(floats)('every floating-point number of type $from in type $to', ({ from, to }) => {
  const target = FORMATS[to];
  if (target === undefined) throw new Error('no format');
  const sign = 1 << (8 * (SIZES[to] ?? 0) - 1);
  const all = inputs(from, to);
  /** Bits and exceptions of each input, with every denormal. */
  const expected = (rounding: number): { readonly bits: number; readonly exceptions: number }[] =>
    all.map(({ bits: input, place, negative, denormal }) => {
      if (place === undefined) {
        const own = new Elements({ from, to, compute: 0, flags: rounding << 4 });
        const bits = Number(own.convert(BigInt(input)));
        return { bits, exceptions: own.takeExceptions() };
      }
      const { encoding, overflow, underflow } = round(target, place, negative, rounding, false);
      let exceptions = denormal ? Exception.denormal : 0;
      if (overflow) exceptions |= Exception.overflow;
      if (underflow) exceptions |= Exception.underflow;
      return { bits: Number(encoding), exceptions };
    });

  it.each(ROUNDINGS)('rounding mode %i, with and without denormals', (rounding) => {
    const normal = expected(rounding);
    for (const modes of [0, flushToZero, denormalsAreZero, flushToZero | denormalsAreZero]) {
      const flags = modes | (rounding << 4);
      const wanted = normal.map(({ bits, exceptions }, index) => {
        const { negative, denormal } = all[index] ?? never();
        const zero = negative ? sign >>> 0 : 0;
        if (denormal && (modes & denormalsAreZero) !== 0) return { bits: zero, exceptions: 0 };
        const flushed = (modes & flushToZero) !== 0 && (exceptions & Exception.underflow) !== 0;
        return { bits: flushed ? zero : bits, exceptions };
      });
      for (const exceptions of new Set(wanted.map((one) => one.exceptions))) {
        const kind = all.filter(({ bits }) => wanted[bits]?.exceptions === exceptions);
        const source = elements(from, SOURCE, kind.length);
        for (const [index, { bits }] of kind.entries()) source[index] = bits;
        expect(convert({ from, to, compute: 0, flags }, kind.length)).toBe(exceptions);
        const results = elements(to, DESTINATION, kind.length);
        const wrong = kind.findIndex(({ bits }, index) => wanted[bits]?.bits !== results[index]);
        expect(wrong === -1 ? undefined : [kind[wrong]?.bits, results[wrong], flags]).toBeUndefined();
      }
    }
  });
});

it('each 8-bit number raises its exceptions alone', () => {
  for (const { from, to } of floats.filter(({ from: type }) => type < 6)) {
    const own = new Elements({ from, to, compute: 0, flags: 0 });
    for (let bits = 0; bits < 256; bits++) {
      device.memory[SOURCE] = bits;
      own.convert(BigInt(bits));
      expect([bits, convert({ from, to, compute: 0, flags: 0 }, 1)]).toEqual([bits, own.takeExceptions()]);
    }
  }
});

const modes = [0, signed].flatMap((a) => [0, saturate].flatMap((b) => [0, negateFirst].map((c) => a | b | c)));

describe.each([0, 1])('every integer of type %i', (from) => {
  it.each([0, 1, 2, 3])('in type %i: signed or not, saturated or cut, negated or not', (to) => {
    const count = 1 << (8 * (SIZES[from] ?? 0));
    for (const flags of modes) {
      const own = new Elements({ from, to, compute: 0, flags });
      const source = elements(from, SOURCE, count);
      for (let i = 0; i < count; i++) source[i] = i;
      const exceptions = convert({ from, to, compute: 0, flags }, count);
      const results = elements(to, DESTINATION, count);
      let wrong = -1;
      for (let i = 0; i < count && wrong < 0; i++) if (own.convert(BigInt(i)) !== bitsOf(results, i)) wrong = i;
      expect([flags, wrong]).toEqual([flags, -1]);
      expect([flags, exceptions]).toEqual([flags, own.takeExceptions()]);
    }
  });
});

/** Bits of a type, most of them where something happens. */
function interesting(from: number, to: number): fc.Arbitrary<bigint> {
  const width = 8 * (SIZES[from] ?? 0);
  const any = fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n });
  const source = FORMATS[from];
  const target = FORMATS[to];
  const edges = [0n, 1n, (1n << BigInt(width - 1)) - 1n, 1n << BigInt(width - 1), (1n << BigInt(width)) - 1n];
  if (source === undefined || target === undefined) return fc.oneof(any, fc.constantFrom(...edges));
  // Few bits set below those that the target has, and exponents about where it ends.
  const lost = BigInt(Math.max(0, source.fractionBits - target.fractionBits));
  const bias = (bits: number): number => 2 ** (bits - 1) - 1;
  const range = bias(target.exponentBits) + target.fractionBits + 3;
  const near = fc
    .record({
      sign: fc.constantFrom(0n, 1n),
      exponent: fc.integer({ min: -range, max: range }),
      high: fc.bigInt({ min: 0n, max: (1n << (BigInt(source.fractionBits) - lost)) - 1n }),
      low: fc.constantFrom(
        0n,
        1n,
        (1n << lost) >> 1n,
        ((1n << lost) >> 1n) + 1n,
        ((1n << lost) >> 1n) - 1n,
        (1n << lost) - 1n,
      ),
    })
    .map(({ sign, exponent, high, low }) => {
      const stored = Math.max(0, Math.min(2 ** source.exponentBits - 1, exponent + bias(source.exponentBits)));
      const fraction = (high << lost) | (low < 0n ? 0n : low & ((1n << lost) - 1n));
      return (((sign << BigInt(source.exponentBits)) | BigInt(stored)) << BigInt(source.fractionBits)) | fraction;
    });
  return fc.oneof(
    { weight: 6, arbitrary: near },
    { weight: 2, arbitrary: any },
    { weight: 1, arbitrary: fc.constantFrom(...edges) },
  );
}

const pairs = [
  ...CONVERSIONS.filter(([from]) => from >= 8),
  ...[2, 3].flatMap((from) => [0, 1, 2, 3].map((to): [number, number] => [from, to])),
  [8, 8],
  [9, 9],
] as const;

it.each(pairs)('numbers of type %i in type %i', (from, to) => {
  const property = fc.property(
    fc.array(interesting(from, to), { minLength: 1, maxLength: 600 }),
    fc.constantFrom(...ROUNDINGS),
    fc.integer({ min: 0, max: 7 }),
    fc.integer({ min: 0, max: 3 }),
    (values, rounding, low, high) => {
      const flags = (rounding << 4) | ((low & 1) | ((low & 6) << 1)) | (high << 7);
      const own = new Elements({ from, to, compute: 0, flags });
      const source = elements(from, SOURCE, values.length);
      for (const [index, bits] of values.entries()) put(source, index, bits);
      const exceptions = convert({ from, to, compute: 0, flags }, values.length);
      const results = elements(to, DESTINATION, values.length);
      expect(Array.from(values, (_, index) => bitsOf(results, index))).toEqual(values.map((bits) => own.convert(bits)));
      expect(exceptions).toBe(own.takeExceptions());
    },
  );
  fc.assert(property, { numRuns: 60 });
});

describe('a descriptor', () => {
  const fp32: TypedFields = { from: 8, to: 6, compute: 0, flags: 0 };
  const status = (fields: Partial<Parameters<TestDevice['execute']>[0]>): number =>
    device.execute({
      opcode: Opcode.typeConversion,
      first: BASE + SOURCE,
      second: BASE + DESTINATION,
      size: 8,
      typed: fp32,
      ...fields,
    }).status;

  it('that asks whether anything is exceptional is told', () => {
    new Float32Array(device.memory.buffer, SOURCE, 8).fill(1);
    expect(status({ flags: Flag.checkResult })).toBe(Status.success);
    new Float32Array(device.memory.buffer, SOURCE, 8)[7] = 1e30;
    expect(status({ flags: Flag.checkResult })).toBe(Status.predicateFalse);
    expect(status({})).toBe(Status.success);
  });

  it('for the memory of another domain has invalid flags, and handles without them are reserved', () => {
    expect(status({ flags: 1 << 16 })).toBe(Status.invalidFlags);
    expect(status({ flags: 1 << 17 })).toBe(Status.invalidFlags);
    expect(status({ destinationDif: { flags: 0, reference: 0, mask: 1, application: 0 }, typed: fp32 })).toBe(
      Status.reservedField,
    );
  });

  it('with a type, a conversion, a rounding mode or a flag that does not exist is refused', () => {
    for (let from = 0; from < 16; from++) {
      for (let to = 0; to < 16; to++) {
        const good = from < 10 && to < 10 && canConvert(from, to);
        expect([from, to, status({ typed: { ...fp32, from, to } })]).toEqual([
          from,
          to,
          good ? Status.success : Status.fieldValue,
        ]);
      }
    }
    for (let flags = 0; flags < 4096; flags++) {
      const good = flags < 512 && ((flags >> 4) & 7) < 4;
      expect([flags, status({ typed: { ...fp32, flags } })]).toEqual([
        flags,
        good ? Status.success : Status.fieldValue,
      ]);
    }
  });

  it('has its elements aligned, within the limits, and in place only as they are', () => {
    expect(status({ first: BASE + SOURCE + 2 })).toBe(Status.alignment);
    expect(status({ second: BASE + DESTINATION + 1 })).toBe(Status.alignment);
    expect(status({ size: 0 })).toBe(Status.transferSize);
    expect(status({ size: 0x4000_0000 })).toBe(Status.transferSize);
    expect(status({ second: BASE + SOURCE })).toBe(Status.overlap);
    expect(status({ second: BASE + SOURCE + 4 * 8 - 2 })).toBe(Status.overlap);
    expect(status({ second: BASE + SOURCE, typed: { ...fp32, to: 8 } })).toBe(Status.success);
    expect(status({ second: BASE + SOURCE + 4, typed: { ...fp32, to: 8 } })).toBe(Status.overlap);
  });
});

it('a device has what its registers say, and no more', () => {
  // FP32 and FP16, FP32 to FP16, rounding to nearest only.
  const typed = [0n, (1n << 8n) | (1n << 6n) | (1n << 38n), 1n << 12n] as const;
  using small = new TestDevice({ capabilities: { typed } });
  small.enable();
  const status = (from: number, to: number, flags = 0): number =>
    small.execute({
      opcode: Opcode.typeConversion,
      first: BASE + SOURCE,
      second: BASE + SOURCE + PAGE,
      size: 8,
      typed: { from, to, compute: 0, flags },
    }).status;
  expect(status(8, 6)).toBe(Status.success);
  expect(status(8, 8)).toBe(Status.success);
  expect(status(6, 8)).toBe(Status.fieldValue);
  expect(status(7, 7)).toBe(Status.fieldValue);
  expect(status(0, 0)).toBe(Status.fieldValue);
  for (const flags of [1 << 4, 2 << 4, 3 << 4, 1, 2, 4, 8, 1 << 7, 1 << 8]) {
    expect([flags, status(8, 6, flags)]).toEqual([flags, Status.fieldValue]);
  }
});
