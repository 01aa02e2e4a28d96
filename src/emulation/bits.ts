/** Bits `msb` down to `lsb`, as a mask. */
export function bitMask(msb: number, lsb: number): bigint {
  return ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
}

/** Bits 31:0 as a signed 32-bit number: the form in which masks are combined without allocating. */
export function low32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

/** Bits 63:32 as a signed 32-bit number. */
export function high32(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}

/** The unsigned 64-bit value of two 32-bit halves, signed or not. */
export function join64(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** `0x…`, for messages. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** The smallest multiple of `unit` that is not below `value`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
