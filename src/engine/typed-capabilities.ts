/** DSACAP0, DSACAP1 and DSACAP2 as their registers read (DSA specification 9.2.30 to 9.2.32). */
export type TypedCapabilities = readonly [bigint, bigint, bigint];

/** A field's value at its place. */
function at(bit: number, value: number): bigint {
  return BigInt(value) << BigInt(bit);
}

/** Add, and, or, exclusive or, minimum, maximum. */
const COMPUTATIONS = [1, 3, 4, 5, 6, 7];

/**
 * All that engines have: lists of 2^15 entries in formats 1 to 3, gather-reduce blocks below 32 KiB, every data type,
 * every conversion between two floating-point types that the specification has, every computation and every flag.
 * Nothing inter-domain.
 */
export function supportedTypedCapabilities(): TypedCapabilities {
  return [
    at(0, 15) | at(4, 15) | at(32, 0b1110),
    at(0, 0x3ff) | at(16, 0x1ff) | at(32, 0x1ff) | COMPUTATIONS.reduce((bits, code) => bits | at(48 + code, 1), 0n),
    // Negation, flush to zero, denormals as zero, signed integers, saturation, and four rounding modes.
    at(0, 0b1101) | at(7, 0b11) | at(12, 0xf),
  ];
}

/** DSACAP0, bits 3:0: lists have at most 2^n entries. */
export function maxListShift([dsacap0]: TypedCapabilities): number {
  return Number(dsacap0 & 0xfn);
}

/** DSACAP0, bits 55:48: what is said of how much is in progress, which changes nothing about a descriptor. */
const IN_PROGRESS = 0xffn << 48n;

/** @throws RangeError unless engines have all of it. */
export function checkTypedCapabilities(name: string, capabilities: TypedCapabilities): void {
  for (const [index, available] of supportedTypedCapabilities().entries()) {
    const value = capabilities[index] ?? 0n;
    const extra = value & ~(index === 0 ? available | IN_PROGRESS : available);
    if (value < 0n || extra !== 0n) {
      throw new RangeError(
        `${name}[${index}] is 0x${value.toString(16)}; expected bits of 0x${available.toString(16)}`,
      );
    }
  }
}
