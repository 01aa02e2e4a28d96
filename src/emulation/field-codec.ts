import { bitMask, high32, join64, low32 } from './bits.ts';
import type { Field, FieldValue } from './field.ts';

/**
 * Moves one field between its value and the two 32-bit halves of its register. Only fields of more than 32 bits touch
 * bigints.
 */
export class FieldCodec {
  readonly field: Field;
  /** The field's bits in the register's halves, as signed numbers. */
  readonly maskLow: number;
  readonly maskHigh: number;
  readonly #bits: number;
  readonly #max: number;
  readonly #read: (low: number, high: number) => FieldValue;

  constructor(field: Field) {
    const { msb, lsb } = field;
    const mask = bitMask(msb, lsb);
    this.field = field;
    this.maskLow = low32(mask);
    this.maskHigh = high32(mask);
    this.#bits = msb - lsb + 1;
    this.#max = 2 ** this.#bits - 1;
    this.#read = reader(field);
  }

  /** The field's value in a register. */
  read(low: number, high: number): FieldValue {
    return this.#read(low, high);
  }

  /**
   * The register bits 31:0 that `value` stands for; zero outside the field. {@link check} the value first.
   */
  low(value: FieldValue): number {
    const { lsb } = this.field;
    if (typeof value === 'bigint') return low32(value << BigInt(lsb));
    return lsb < 32 ? Number(value) << lsb : 0;
  }

  /** The register bits 63:32 that `value` stands for; zero outside the field. */
  high(value: FieldValue): number {
    const { lsb, msb } = this.field;
    if (typeof value === 'bigint') return high32(value << BigInt(lsb));
    if (msb < 32) return 0;
    return lsb >= 32 ? Number(value) << (lsb - 32) : Number(value) >>> (32 - lsb);
  }

  /** Throws unless `value` is of the field's type and fits. `path` names the register. */
  check(value: unknown, path: string, name: string): asserts value is FieldValue {
    if (this.field.flag) {
      if (typeof value !== 'boolean') throw this.#mismatch(value, path, name, 'a boolean');
    } else if (this.#bits > 32) {
      if (typeof value !== 'bigint') throw this.#mismatch(value, path, name, 'a bigint');
      if (value < 0n || value >> BigInt(this.#bits) !== 0n) throw this.#outside(value, path, name);
    } else {
      if (typeof value !== 'number') throw this.#mismatch(value, path, name, 'a number');
      if (!Number.isInteger(value) || value < 0 || value > this.#max) throw this.#outside(value, path, name);
    }
  }

  #mismatch(value: unknown, path: string, name: string, expected: string): TypeError {
    return new TypeError(`${path}.${name}: ${String(value)} is not ${expected}`);
  }

  #outside(value: number | bigint, path: string, name: string): RangeError {
    return new RangeError(`${path}.${name}: ${value} does not fit in ${this.#bits} bits`);
  }
}

/** The cheapest function that takes a field's value out of its register. */
function reader({ msb, lsb, flag }: Field): (low: number, high: number) => FieldValue {
  const bits = msb - lsb + 1;
  if (bits > 32) {
    const mask = (1n << BigInt(bits)) - 1n;
    return (low, high) => (join64(low, high) >> BigInt(lsb)) & mask;
  }
  // 2 << 31 is 0, so 32 bits get the mask -1.
  const mask = (2 << (bits - 1)) - 1;
  if (msb < 32) return flag ? (low) => ((low >>> lsb) & 1) !== 0 : (low) => ((low >>> lsb) & mask) >>> 0;
  if (lsb >= 32) {
    const shift = lsb - 32;
    return flag ? (_, high) => ((high >>> shift) & 1) !== 0 : (_, high) => ((high >>> shift) & mask) >>> 0;
  }
  return (low, high) => (((low >>> lsb) | (high << (32 - lsb))) & mask) >>> 0;
}

const codecs = new WeakMap<Field, FieldCodec>();

/** The codec of a field, made once. */
export function codecOf(field: Field): FieldCodec {
  let codec = codecs.get(field);
  if (codec === undefined) codecs.set(field, (codec = new FieldCodec(field)));
  return codec;
}
