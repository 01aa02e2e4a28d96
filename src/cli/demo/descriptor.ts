// What a driver needs of the DSA specification, 5.4 to 5.6 and 8.1 to 8.3.

/** Bytes of a descriptor. */
export const DESCRIPTOR_SIZE = 64;

/** Operations. */
export const Opcode = { batch: 0x01, move: 0x03, fill: 0x04, compare: 0x05, crc: 0x10 } as const;

/** Flags of a descriptor. */
export const Flag = {
  fence: 1 << 0,
  completionAddressValid: 1 << 2,
  requestCompletionRecord: 1 << 3,
  requestCompletionInterrupt: 1 << 4,
} as const;

/** A descriptor's fields. What is absent is 0. */
export interface Descriptor {
  readonly opcode: number;
  /** {@link Flag} bits. */
  readonly flags: number;
  readonly completion?: bigint;
  /** Bytes 16 to 23: source, pattern or descriptor list. */
  readonly first?: bigint;
  /** Bytes 24 to 31: destination or second source. */
  readonly second?: bigint;
  /** Bytes 32 to 35: bytes, or descriptors of a batch. */
  readonly size: number;
  /** MSI-X vector of the completion interrupt. */
  readonly interruptHandle?: number;
}

/** The 64 bytes. */
export function encodeDescriptor(descriptor: Descriptor): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_SIZE);
  const view = new DataView(bytes.buffer);
  // The opcode is the top byte of the flags' word.
  view.setUint32(4, descriptor.flags | (descriptor.opcode << 24), true);
  view.setBigUint64(8, descriptor.completion ?? 0n, true);
  view.setBigUint64(16, descriptor.first ?? 0n, true);
  view.setBigUint64(24, descriptor.second ?? 0n, true);
  view.setUint32(32, descriptor.size, true);
  view.setUint16(36, descriptor.interruptHandle ?? 0, true);
  return bytes;
}

/** Bytes of a completion record; also its alignment. */
export const RECORD_SIZE = 32;

/** Status of a descriptor that was done. */
export const SUCCESS = 1;

/** A completion record. */
export interface CompletionRecord {
  readonly status: number;
  readonly result: number;
  /** Bytes, or descriptors of a batch. */
  readonly completed: number;
  readonly crc: number;
}

/** @param bytes - the 32 bytes */
export function decodeRecord(bytes: Uint8Array): CompletionRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_SIZE);
  return {
    status: view.getUint8(0),
    result: view.getUint8(1),
    completed: view.getUint32(4, true),
    crc: view.getUint32(16, true),
  };
}
