/** CRC-32C, bit by bit as the specification's appendix A defines it: the register shifts towards its highest bit. */

const POLYNOMIAL = 0x1edc6f41;

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
