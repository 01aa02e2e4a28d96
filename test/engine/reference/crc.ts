/** CRC-32C, bit by bit as the specification's appendix A defines it: the register shifts towards its highest bit. */

const POLYNOMIAL = 0x1edc6f41;

const POLYNOMIAL_64 = 0xad93d235_94c93659n;

function reverse(value: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) result = (result << 1) | ((value >>> bit) & 1);
  return result >>> 0;
}

export interface CrcModes {
  /** Flag 17: seed and result are raw. */
  readonly raw: boolean;
  /** Flag 18: data bytes go in highest bit first. */
  readonly straightData: boolean;
}

export function crc32c(seed: number, data: Iterable<number>, { raw, straightData }: CrcModes): number {
  let state = raw ? seed >>> 0 : reverse(~seed, 32);
  for (const byte of data) {
    const bits = straightData ? byte : reverse(byte, 8);
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (state >>> 31) ^ ((bits >>> bit) & 1);
      state = ((state << 1) ^ (carry === 1 ? POLYNOMIAL : 0)) >>> 0;
    }
  }
  return raw ? state : ~reverse(state, 32) >>> 0;
}

function reverse64(value: bigint): bigint {
  const low = BigInt(reverse(Number(value & 0xffff_ffffn), 32));
  return (low << 32n) | BigInt(reverse(Number(value >> 32n), 32));
}

/** The same with 64 bits, in two halves: numbers have 53. */
export function crc64(seed: bigint, data: Iterable<number>, { raw, straightData }: CrcModes): bigint {
  const start = raw ? BigInt.asUintN(64, seed) : reverse64(BigInt.asUintN(64, ~seed));
  const highPolynomial = Number(POLYNOMIAL_64 >> 32n);
  const lowPolynomial = Number(POLYNOMIAL_64 & 0xffff_ffffn);
  let high = Number(start >> 32n) | 0;
  let low = Number(start & 0xffff_ffffn) | 0;
  for (const byte of data) {
    const bits = straightData ? byte : reverse(byte, 8);
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (high >>> 31) ^ ((bits >>> bit) & 1);
      high = (high << 1) | (low >>> 31);
      low <<= 1;
      if (carry === 0) continue;
      high ^= highPolynomial;
      low ^= lowPolynomial;
    }
  }
  const state = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return raw ? state : BigInt.asUintN(64, ~reverse64(state));
}
