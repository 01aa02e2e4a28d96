/** Descriptors and completion records as bytes. DSA specification 8.1 and 8.2. */

export const Opcode = {
  noOp: 0x00,
  batch: 0x01,
  drain: 0x02,
  memoryMove: 0x03,
  fill: 0x04,
  compare: 0x05,
  comparePattern: 0x06,
  createDelta: 0x07,
  applyDelta: 0x08,
  dualcast: 0x09,
  translationFetch: 0x0a,
  crcGeneration: 0x10,
  copyWithCrc: 0x11,
  difCheck: 0x12,
  difInsert: 0x13,
  difStrip: 0x14,
  difUpdate: 0x15,
  dixGenerate: 0x17,
  typeConversion: 0x18,
  reduce: 0x19,
  reduceDualcast: 0x1a,
  cacheFlush: 0x20,
} as const;

/** Flag bits by number. */
export const Flag = {
  fence: 1 << 0,
  blockOnFault: 1 << 1,
  recordAddressValid: 1 << 2,
  requestRecord: 1 << 3,
  requestInterrupt: 1 << 4,
  checkResult: 1 << 7,
  cacheControl: 1 << 8,
  cacheControl2: 1 << 14,
  cacheControl3: 1 << 5,
  batchError: 1 << 16,
  readback1: 1 << 16,
  readback2: 1 << 17,
  useStride: 1 << 16,
  pattern16: 1 << 18,
  readSeed: 1 << 16,
  rawCrc: 1 << 17,
  straightData: 1 << 18,
  crc64: 1 << 19,
} as const;

export const Status = {
  success: 0x01,
  predicateFalse: 0x02,
  pageFault: 0x03,
  batchMemberFailed: 0x05,
  batchListFault: 0x06,
  deltaOrder: 0x07,
  deltaOffset: 0x08,
  dif: 0x09,
  unsupportedOperation: 0x10,
  invalidFlags: 0x11,
  reservedField: 0x12,
  transferSize: 0x13,
  descriptorCount: 0x14,
  fieldValue: 0x15,
  overlap: 0x16,
  dualcastAlignment: 0x17,
  listAlignment: 0x18,
  interruptHandle: 0x19,
  recordFault: 0x1a,
  recordAlignment: 0x1b,
  alignment: 0x1c,
  readbackFault: 0x1f,
} as const;

export const DESCRIPTOR_SIZE = 64;
export const RECORD_SIZE = 32;

/** Flags and tags of one side of a DIF operation. */
export interface DifSide extends DifTags {
  readonly flags: number;
}

export interface DifTags {
  readonly reference: number;
  readonly mask: number;
  readonly application: number;
}

/** What a descriptor says; what is absent is 0. Addresses are IOVAs. */
export interface DescriptorFields {
  readonly opcode: number;
  readonly flags?: number;
  /** Sets the flags for a record, too. */
  readonly record?: number;
  /** Sets the flag for an interrupt, too. */
  readonly interrupt?: number;
  /** Bytes 16 to 23: source, first source, list. */
  readonly first?: number | bigint;
  /** Bytes 24 to 31: destination, second source. */
  readonly second?: number | bigint;
  /** Bytes 32 to 35. */
  readonly size?: number;
  /** Byte 40. */
  readonly expected?: number;
  /** Bytes 40 to 43. */
  readonly seed?: number;
  /** Bytes 40 to 47: second destination, upper half of a pattern, 64-bit seed. */
  readonly third?: number | bigint;
  /** Bytes 48 to 55. */
  readonly seedAddress?: number | bigint;
  /** Bytes 48 to 51: the most bytes of a delta record. */
  readonly most?: number;
  /** Bytes 48 to 51. */
  readonly stride?: number;
  /** Byte 56: results of creating a delta that are expected. */
  readonly expectedMask?: number;
  /** Byte 40, and what is checked: bytes 48 to 55. */
  readonly sourceDif?: DifSide;
  /** Byte 41, and what is made: bytes 56 to 63. */
  readonly destinationDif?: DifSide;
  /** Byte 42. */
  readonly difFlags?: number;
  /** Bytes 48 to 55: the second destination of reduce dualcast. */
  readonly fourth?: number | bigint;
  /** Bytes 56 to 58. */
  readonly typed?: { readonly from: number; readonly to: number; readonly compute: number; readonly flags: number };
}

export function descriptor(fields: DescriptorFields): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_SIZE);
  const view = new DataView(bytes.buffer);
  let flags = fields.flags ?? 0;
  if (fields.record !== undefined) {
    flags |= Flag.recordAddressValid | Flag.requestRecord;
    view.setBigUint64(8, BigInt(fields.record), true);
  }
  if (fields.interrupt !== undefined) {
    flags |= Flag.requestInterrupt;
    view.setUint16(36, fields.interrupt, true);
  }
  view.setUint32(4, (flags | (fields.opcode << 24)) >>> 0, true);
  view.setBigUint64(16, BigInt(fields.first ?? 0), true);
  view.setBigUint64(24, BigInt(fields.second ?? 0), true);
  view.setUint32(32, fields.size ?? 0, true);
  if (fields.third !== undefined) view.setBigUint64(40, BigInt(fields.third), true);
  if (fields.seed !== undefined) view.setUint32(40, fields.seed, true);
  if (fields.expected !== undefined) view.setUint8(40, fields.expected);
  if (fields.seedAddress !== undefined) view.setBigUint64(48, BigInt(fields.seedAddress), true);
  if (fields.most !== undefined) view.setUint32(48, fields.most, true);
  if (fields.stride !== undefined) view.setUint32(48, fields.stride, true);
  if (fields.expectedMask !== undefined) view.setUint8(56, fields.expectedMask);
  if (fields.fourth !== undefined) view.setBigUint64(48, BigInt(fields.fourth), true);
  if (fields.typed !== undefined) {
    view.setUint8(56, fields.typed.from | (fields.typed.to << 4));
    view.setUint16(57, fields.typed.compute | (fields.typed.flags << 4), true);
  }
  if (fields.difFlags !== undefined) view.setUint8(42, fields.difFlags);
  if (fields.sourceDif !== undefined) putDif(view, 40, 48, fields.sourceDif);
  if (fields.destinationDif !== undefined) putDif(view, 41, 56, fields.destinationDif);
  return bytes;
}

function putDif(view: DataView, flagsAt: number, tagsAt: number, { flags, ...tags }: DifSide): void {
  view.setUint8(flagsAt, flags);
  putTags(view, tagsAt, tags);
}

/** Tags as they lie in descriptors and in records. */
export function putTags(view: DataView, at: number, { reference, mask, application }: DifTags): void {
  view.setUint32(at, reference, true);
  view.setUint16(at + 4, mask, true);
  view.setUint16(at + 6, application, true);
}

export function readTags(view: DataView, at: number): DifTags {
  return {
    reference: view.getUint32(at, true),
    mask: view.getUint16(at + 4, true),
    application: view.getUint16(at + 6, true),
  };
}

/** A completion record, field by field. */
export interface CompletionRecord {
  readonly status: number;
  readonly result: number;
  /** Bits 3:1 of byte 2. */
  readonly operand: number;
  readonly completed: number;
  readonly faultAddress: number;
  /** Bytes 16 to 19. */
  readonly extra: number;
  /** Bytes 16 to 23. */
  readonly crc64: bigint;
  /** Bytes 16 to 23, of what was checked. */
  readonly sourceTags: DifTags;
  /** Bytes 24 to 31, of what was made. */
  readonly destinationTags: DifTags;
}

export function readRecord(bytes: Uint8Array): CompletionRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_SIZE);
  return {
    status: view.getUint8(0),
    result: view.getUint8(1),
    operand: view.getUint8(2) >> 1,
    completed: view.getUint32(4, true),
    faultAddress: Number(view.getBigUint64(8, true)),
    extra: view.getUint32(16, true),
    crc64: view.getBigUint64(16, true),
    sourceTags: readTags(view, 16),
    destinationTags: readTags(view, 24),
  };
}
