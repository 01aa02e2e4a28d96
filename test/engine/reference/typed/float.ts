/**
 * Floating-point formats as lists of exact numbers: a result is rounded by looking for its neighbours among them. DSA
 * specification, appendix E.
 */

/** One unit is 2^-1100: every finite number of every format, and half the distance of two, is a whole number of them. */
const UNIT = 1100n;

export interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** Without it, the highest exponent is one like others, and only its last fraction is NaN. */
  readonly infinity: boolean;
}

/** By the code of the type. */
export const FORMATS: Readonly<Record<number, Format>> = {
  4: { exponentBits: 5, fractionBits: 2, infinity: true },
  5: { exponentBits: 4, fractionBits: 3, infinity: false },
  6: { exponentBits: 5, fractionBits: 10, infinity: true },
  7: { exponentBits: 8, fractionBits: 7, infinity: true },
  8: { exponentBits: 8, fractionBits: 23, infinity: true },
  9: { exponentBits: 11, fractionBits: 52, infinity: true },
};

export type Float =
  /** The fraction's bits as text, so that it can be cut or filled up at its end. */
  | { readonly kind: 'nan'; readonly negative: boolean; readonly fraction: string }
  | { readonly kind: 'infinity'; readonly negative: boolean }
  | { readonly kind: 'finite'; readonly negative: boolean; readonly magnitude: bigint };

const exponentEnd = ({ exponentBits, fractionBits }: Format): bigint =>
  (1n << BigInt(exponentBits)) << BigInt(fractionBits);
const signOf = exponentEnd;
/** Of the largest finite number; each encoding from 0 to it is a larger number than the one before. */
const largest = (format: Format): bigint =>
  format.infinity ? exponentEnd(format) - (1n << BigInt(format.fractionBits)) - 1n : exponentEnd(format) - 2n;

/** The number that an encoding without sign is, or would be if exponents went on. */
function magnitudeOf({ exponentBits, fractionBits }: Format, encoding: bigint): bigint {
  const bits = BigInt(fractionBits);
  const exponent = encoding >> bits;
  const fraction = encoding & ((1n << bits) - 1n);
  const bias = (1n << BigInt(exponentBits - 1)) - 1n;
  return exponent === 0n
    ? fraction << (UNIT + 1n - bias - bits)
    : (fraction | (1n << bits)) << (UNIT + exponent - bias - bits);
}

const smallestNormal = (format: Format): bigint => magnitudeOf(format, 1n << BigInt(format.fractionBits));

export function decode(format: Format, encoding: bigint): Float {
  const sign = signOf(format);
  const negative = (encoding & sign) !== 0n;
  const rest = encoding & (sign - 1n);
  if (rest <= largest(format)) return { kind: 'finite', negative, magnitude: magnitudeOf(format, rest) };
  if (format.infinity && rest === largest(format) + 1n) return { kind: 'infinity', negative };
  return { kind: 'nan', negative, fraction: rest.toString(2).slice(-format.fractionBits) };
}

export function isDenormal(format: Format, value: Float): boolean {
  return value.kind === 'finite' && value.magnitude > 0n && value.magnitude < smallestNormal(format);
}

/** Where a number lies among those of a format. */
export interface Place {
  /** The encoding of the largest one that is not larger. */
  readonly below: bigint;
  /** It is one of the format, or if exponents went on. */
  readonly exact: boolean;
  /** Its distance to the middle of both neighbours: -1, 0, 1. */
  readonly half: number;
  /** It is not smaller than what would come behind the largest one. */
  readonly beyond: boolean;
  /** Smaller than the smallest normal number; how far beyond the middle of that and the one before, if exponents went on. */
  readonly small: { readonly between: boolean; readonly half: number } | undefined;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));

export function placeOf(format: Format, magnitude: bigint): Place {
  const last = largest(format);
  const beyond = magnitude >= magnitudeOf(format, last + 1n);
  let below = 0n;
  let above = last + 1n;
  if (beyond) below = last;
  while (!beyond && above - below > 1n) {
    const middle = (below + above) >> 1n;
    if (magnitudeOf(format, middle) <= magnitude) below = middle;
    else above = middle;
  }
  const low = magnitudeOf(format, below);
  const half = compare(2n * magnitude, low + magnitudeOf(format, below + 1n));
  const normal = smallestNormal(format);
  let small: Place['small'];
  if (magnitude > 0n && magnitude < normal) {
    const before = normal - (normal >> BigInt(format.fractionBits + 1));
    small = { between: magnitude > before, half: compare(2n * magnitude, before + normal) };
  }
  return { below, exact: low === magnitude, half, beyond, small };
}

/** Nearest even, down, up, to zero. */
export const ROUNDINGS = [0, 1, 2, 3] as const;

function goesUp(rounding: number, negative: boolean, half: number, odd: boolean): boolean {
  if (rounding === 0) return half > 0 || (half === 0 && odd);
  return rounding === (negative ? 1 : 2);
}

export interface Rounded {
  readonly encoding: bigint;
  readonly overflow: boolean;
  readonly underflow: boolean;
}

/** The number at that place, rounded; `flush`: to zero if it is too small. */
export function round(format: Format, place: Place, negative: boolean, rounding: number, flush: boolean): Rounded {
  const { below, exact, half, beyond, small } = place;
  const sign = negative ? signOf(format) : 0n;
  // The number before the smallest normal one would be odd.
  const underflow = small !== undefined && !(small.between && goesUp(rounding, negative, small.half, true));
  if (underflow && flush) return { encoding: sign, overflow: false, underflow };
  const up = !exact && goesUp(rounding, negative, half, (below & 1n) === 1n);
  const encoding = below + (up && !beyond ? 1n : 0n);
  if (!beyond && encoding <= largest(format)) return { encoding: sign | encoding, overflow: false, underflow };
  const infinite = rounding === 0 || rounding === (negative ? 1 : 2);
  const most = infinite ? infinityOf(format) : largest(format);
  return { encoding: sign | most, overflow: true, underflow };
}

/** NaN in formats without it. */
function infinityOf(format: Format): bigint {
  return largest(format) + 1n;
}

/** Any value in a format. */
export function encode(format: Format, value: Float, rounding: number, flush: boolean): Rounded {
  const sign = value.negative ? signOf(format) : 0n;
  switch (value.kind) {
    case 'nan': {
      if (!format.infinity) return { encoding: sign | infinityOf(format), overflow: false, underflow: false };
      const fraction = `1${value.fraction.slice(1)}`.padEnd(format.fractionBits, '0').slice(0, format.fractionBits);
      return { encoding: sign | infinityOf(format) | BigInt(`0b${fraction}`), overflow: false, underflow: false };
    }
    case 'infinity':
      return { encoding: sign | infinityOf(format), overflow: !format.infinity, underflow: false };
    case 'finite':
      return round(format, placeOf(format, value.magnitude), value.negative, rounding, flush);
  }
}

/** What the processors call the real indefinite. */
const INDEFINITE: Float = { kind: 'nan', negative: true, fraction: '1' };

/** The sum; undefined for infinities that cancel each other. */
export function sum(left: Float, right: Float, rounding: number): Float | undefined {
  if (left.kind === 'nan') return left;
  if (right.kind === 'nan') return right;
  if (left.kind === 'infinity' && right.kind === 'infinity' && left.negative !== right.negative) return undefined;
  if (left.kind === 'infinity') return left;
  if (right.kind === 'infinity') return right;
  const whole =
    (left.negative ? -left.magnitude : left.magnitude) + (right.negative ? -right.magnitude : right.magnitude);
  if (whole !== 0n) return { kind: 'finite', negative: whole < 0n, magnitude: whole < 0n ? -whole : whole };
  const negative = left.negative === right.negative ? left.negative : rounding === 1;
  return { kind: 'finite', negative, magnitude: 0n };
}

/** In the order of numbers, -0 below +0. Not for NaN. */
function order(value: Float): readonly [bigint, number] {
  const magnitude = value.kind === 'finite' ? value.magnitude : 1n << 4000n;
  return value.negative ? [-magnitude, 0] : [magnitude, 1];
}

/** The smaller one, or with `larger` the other. */
export function pick(left: Float, right: Float, larger: boolean): Float {
  if (left.kind === 'nan') return left;
  if (right.kind === 'nan') return right;
  const [first, firstSign] = order(left);
  const [second, secondSign] = order(right);
  const rightIsLarger = first === second ? secondSign > firstSign : second > first;
  return rightIsLarger === larger ? right : left;
}

export { INDEFINITE };
