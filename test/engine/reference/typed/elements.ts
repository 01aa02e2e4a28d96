/** What typed operations make of elements: DSA specification 8.1.9 to 8.1.12. */
import { decode, encode, type Float, FORMATS, INDEFINITE, isDenormal, pick, sum } from './float.ts';

/** Bytes of an element, by the code of its type. */
export const SIZES: readonly number[] = [1, 2, 4, 8, 1, 1, 2, 2, 4, 8];

export const Exception = { invalid: 1, denormal: 2, overflow: 4, underflow: 8 } as const;

/** Bits of the compute flags; the rounding mode is at bit 4. */
export const ComputeFlag = {
  negateFirst: 1,
  negateSecond: 2,
  flushToZero: 4,
  denormalsAreZero: 8,
  signed: 1 << 7,
  saturate: 1 << 8,
} as const;

export const Compute = { add: 1, and: 3, or: 4, xor: 5, minimum: 6, maximum: 7 } as const;

/** Bytes 56 to 58. */
export interface TypedFields {
  readonly from: number;
  readonly to: number;
  readonly compute: number;
  readonly flags: number;
}

export function readTyped(view: DataView): TypedFields {
  const types = view.getUint8(56);
  const computation = view.getUint16(57, true);
  return { from: types & 15, to: types >> 4, compute: computation & 15, flags: computation >> 4 };
}

type Value = bigint | Float;

/** One descriptor's elements, as bits. */
export class Elements {
  readonly fields: TypedFields;
  /** What was exceptional since it was taken last. */
  #exceptions = 0;

  constructor(fields: TypedFields) {
    this.fields = fields;
  }

  takeExceptions(): number {
    const taken = this.#exceptions;
    this.#exceptions = 0;
    return taken;
  }

  convert(bits: bigint): bigint {
    const { from, to, flags } = this.fields;
    return this.#put(to, this.#operand(from, bits, (flags & ComputeFlag.negateFirst) !== 0));
  }

  compute(first: bigint, second: bigint): bigint {
    const { from, to, flags } = this.fields;
    const left = this.#operand(from, first, (flags & ComputeFlag.negateFirst) !== 0);
    const right = this.#operand(from, second, (flags & ComputeFlag.negateSecond) !== 0);
    return this.#toResult(this.#put(this.between, this.#computed(left, right)), to);
  }

  /** The elements at one place of all blocks. */
  gather(blocks: readonly bigint[]): bigint {
    const { from, to, flags } = this.fields;
    const negate = (flags & ComputeFlag.negateFirst) !== 0;
    let result = 0n;
    for (const [index, bits] of blocks.entries()) {
      const operand = this.#operand(from, bits, negate);
      const value = index === 0 ? operand : this.#computed(this.#plain(this.between, result), operand);
      result = this.#put(this.between, value);
    }
    return this.#toResult(result, to);
  }

  /** The type that is computed in: the wider one. */
  get between(): number {
    const { from, to } = this.fields;
    return (SIZES[to] ?? 0) > (SIZES[from] ?? 0) ? to : from;
  }

  #toResult(bits: bigint, to: number): bigint {
    return this.between === to ? bits : this.#put(to, this.#plain(this.between, bits));
  }

  #has(flag: number): boolean {
    return (this.fields.flags & flag) !== 0;
  }

  get #rounding(): number {
    return (this.fields.flags >> 4) & 3;
  }

  /** Bits as they are, without exceptions. */
  #plain(type: number, bits: bigint): Value {
    const format = FORMATS[type];
    if (format !== undefined) return decode(format, bits);
    return this.#has(ComputeFlag.signed) ? BigInt.asIntN(8 * (SIZES[type] ?? 0), bits) : bits;
  }

  #operand(type: number, bits: bigint, negate: boolean): Value {
    let value = this.#plain(type, bits);
    if (typeof value === 'bigint') return negate ? -value : value;
    const format = FORMATS[type];
    if (value.kind === 'nan') this.#exceptions |= Exception.invalid;
    if (format !== undefined && isDenormal(format, value)) {
      if (this.#has(ComputeFlag.denormalsAreZero)) value = { kind: 'finite', negative: value.negative, magnitude: 0n };
      else this.#exceptions |= Exception.denormal;
    }
    return negate ? { ...value, negative: !value.negative } : value;
  }

  #computed(left: Value, right: Value): Value {
    const { compute } = this.fields;
    if (typeof left === 'bigint' || typeof right === 'bigint')
      return integers(compute, left as bigint, right as bigint);
    if (compute !== Compute.add) return pick(left, right, compute === Compute.maximum);
    const result = sum(left, right, this.#rounding);
    if (result === undefined) this.#exceptions |= Exception.invalid;
    return result ?? INDEFINITE;
  }

  #put(type: number, value: Value): bigint {
    const bits = 8 * (SIZES[type] ?? 0);
    if (typeof value === 'bigint') {
      const signed = this.#has(ComputeFlag.signed);
      const least = signed ? -(1n << BigInt(bits - 1)) : 0n;
      const most = least + (1n << BigInt(bits)) - 1n;
      if (value >= least && value <= most) return BigInt.asUintN(bits, value);
      this.#exceptions |= Exception.overflow;
      if (!this.#has(ComputeFlag.saturate)) return BigInt.asUintN(bits, value);
      return BigInt.asUintN(bits, value < least ? least : most);
    }
    const format = FORMATS[type];
    if (format === undefined) throw new Error(`type ${type} is no format`);
    const rounded = encode(format, value, this.#rounding, this.#has(ComputeFlag.flushToZero));
    if (rounded.overflow) this.#exceptions |= Exception.overflow;
    if (rounded.underflow) this.#exceptions |= Exception.underflow;
    return rounded.encoding;
  }
}

/** Without end, in two's complement. */
function integers(compute: number, left: bigint, right: bigint): bigint {
  switch (compute) {
    case Compute.add:
      return left + right;
    case Compute.and:
      return left & right;
    case Compute.or:
      return left | right;
    case Compute.xor:
      return left ^ right;
    case Compute.minimum:
      return left < right ? left : right;
    default:
      return left > right ? left : right;
  }
}

/** The conversions between formats that the specification has, beside those from a type to itself. */
export const CONVERSIONS: readonly (readonly [number, number])[] = [
  ...[4, 5].flatMap((small) =>
    [6, 7, 8].flatMap((large): [number, number][] => [
      [small, large],
      [large, small],
    ]),
  ),
  [6, 8],
  [7, 8],
  [8, 6],
  [8, 7],
  [8, 9],
  [9, 8],
];

export function canConvert(from: number, to: number): boolean {
  if (from === to || (from < 4 && to < 4)) return true;
  return CONVERSIONS.some(([first, second]) => first === from && second === to);
}
