/** The low `size` bytes of a number, little-endian. */
export function bytesOf(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** The number that bytes are, little-endian. */
export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Reads `size` bytes as the guest. */
export function readNumber(
  port: { read(offset: number, into: Uint8Array): void },
  offset: number,
  size: number,
): bigint {
  const bytes = new Uint8Array(size).fill(0xa5);
  port.read(offset, bytes);
  return numberOf(bytes);
}
