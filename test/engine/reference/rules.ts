/**
 * What makes a descriptor invalid: one row per operation, as tables 5-3 to 5-5 of the DSA specification print it. Only
 * for devices without durable writes; of what came with version 2.0 all or nothing.
 */
import { Flag, Opcode, Status } from '../support/descriptor.ts';
import { DIF_BLOCKS } from './dif.ts';
import { elementwiseRules } from './typed/elementwise.ts';

interface Row {
  /**
   * Letters: B block on fault, C check result, H cache hint, R readback, O strict ordering; digits: traffic classes of
   * addresses.
   */
  readonly flags: string;
  /** A record is obligatory. */
  readonly record?: true;
  /** Bytes that are reserved, `first-last`. */
  readonly reserved: string;
  readonly crc?: true;
  /** Rules of the operation's own. */
  readonly rules?: Rules;
}

/** Adds the errors that it finds. */
type Rules = (view: DataView, found: Map<number, number>, limits: Limits) => void;

const rows: Readonly<Record<number, Row>> = {
  [Opcode.noOp]: { flags: '', reserved: '16-35 38-63' },
  [Opcode.batch]: { flags: '1', reserved: '24-31 38-63' },
  [Opcode.drain]: { flags: '', reserved: '32-35 38-63' },
  [Opcode.memoryMove]: { flags: 'BHO12', reserved: '38-63' },
  [Opcode.fill]: { flags: 'BHO2', reserved: '38-39 48-63' },
  [Opcode.compare]: { flags: 'BC12', record: true, reserved: '38-39 41-63' },
  [Opcode.comparePattern]: { flags: 'BC1', record: true, reserved: '38-39 41-63' },
  [Opcode.createDelta]: { flags: 'BCHO123', record: true, reserved: '38-39 52-55 57-63', rules: createDeltaRules },
  [Opcode.applyDelta]: { flags: 'BHO12', reserved: '38-39 44-63', rules: applyDeltaRules },
  [Opcode.dualcast]: { flags: 'BHO123', reserved: '38-39 48-63' },
  [Opcode.translationFetch]: { flags: 'B', reserved: '24-31 38-47 52-63' },
  [Opcode.crcGeneration]: { flags: 'B1', record: true, reserved: '24-31 38-39', crc: true },
  [Opcode.copyWithCrc]: { flags: 'BHO12', record: true, reserved: '38-39', crc: true },
  [Opcode.difCheck]: {
    flags: 'B1',
    record: true,
    reserved: '24-31 38-39 41-41 43-47 56-63',
    rules: difRules({ source: 8 }),
  },
  [Opcode.difInsert]: { flags: 'BHO12', reserved: '38-40 43-55', rules: difRules({ source: 0, destination: 8 }) },
  [Opcode.difStrip]: {
    flags: 'BHO12',
    reserved: '38-39 41-41 43-47 56-63',
    rules: difRules({ source: 8, destination: 0 }),
  },
  [Opcode.difUpdate]: { flags: 'BHO12', reserved: '38-39 43-47', rules: difRules({ source: 8, destination: 8 }) },
  [Opcode.dixGenerate]: {
    flags: 'BHO12',
    reserved: '38-40 43-55',
    rules: difRules({ source: 0, destination: 8, apart: true }),
  },
  [Opcode.typeConversion]: { flags: 'BCHO12', reserved: '38-55 59-63', rules: elementwiseRules },
  [Opcode.reduce]: { flags: 'BCHO123', reserved: '38-39 48-55 59-63', rules: elementwiseRules },
  [Opcode.reduceDualcast]: { flags: 'BCHO1234', reserved: '38-39 59-63', rules: elementwiseRules },
  // No cache hint: the flag may not be set.
  [Opcode.cacheFlush]: { flags: 'BRO2', reserved: '16-23 38-63' },
};

function meet(first: bigint, firstSize: bigint, second: bigint, secondSize: bigint): boolean {
  return first < second + secondSize && second < first + firstSize;
}

function createDeltaRules(view: DataView, found: Map<number, number>, limits: Limits): void {
  const size = BigInt(view.getUint32(32, true));
  const most = BigInt(view.getUint32(48, true));
  const sources = [view.getBigUint64(16, true), view.getBigUint64(24, true)];
  const record = view.getBigUint64(40, true);
  if (size > 0x80000n) found.set(Status.transferSize, 0);
  if (most < 80n || most > BigInt(limits.maxTransfer)) found.set(Status.fieldValue, 0);
  if ([size, ...sources].some((value) => value % 8n !== 0n)) found.set(Status.alignment, 0);
  if (sources.some((source) => meet(source, size, record, most))) found.set(Status.overlap, 0);
}

function applyDeltaRules(view: DataView, found: Map<number, number>): void {
  const size = BigInt(view.getUint32(32, true));
  const delta = BigInt(view.getUint32(40, true));
  const destination = view.getBigUint64(24, true);
  if (size > 0x80000n) found.set(Status.transferSize, 0);
  if (delta < 10n) found.set(Status.fieldValue, 0);
  if (size % 8n !== 0n || destination % 8n !== 0n) found.set(Status.alignment, 0);
  if (meet(view.getBigUint64(16, true), delta, destination, size)) found.set(Status.overlap, 0);
}

/** What a block has behind it on either side, bytes. */
function difRules(extra: { readonly source: number; readonly destination?: number; readonly apart?: boolean }): Rules {
  return (view, found) => {
    const block = DIF_BLOCKS[view.getUint8(42) & 3] ?? 0;
    const size = view.getUint32(32, true);
    if (view.getUint8(42) > 15) found.set(Status.reservedField, 0);
    if (extra.destination === 8 && (view.getUint8(41) & 7) !== 0) found.set(Status.reservedField, 0);
    if (size % (block + extra.source) !== 0) found.set(Status.transferSize, 0);
    if (extra.destination === undefined) return;
    const apart = extra.apart === true;
    if (apart && view.getBigUint64(24, true) % 8n !== 0n) found.set(Status.alignment, 0);
    const written = Math.floor(size / (block + extra.source)) * ((apart ? 0 : block) + extra.destination);
    if (meet(view.getBigUint64(16, true), BigInt(size), view.getBigUint64(24, true), BigInt(written))) {
      found.set(Status.overlap, 0);
    }
  };
}

const letterBits: Readonly<Record<string, number>> = { B: 1, C: 7, H: 8, R: 14, O: 13, 1: 9, 2: 10, 3: 11, 4: 17 };

/** Limits of the queue. */
export interface Limits {
  readonly maxTransfer: number;
  readonly maxBatch: number;
  readonly blockOnFault: boolean;
  readonly overlappingMove: boolean;
  readonly handles: number;
  /** Everything that came with version 2.0. */
  readonly version2?: boolean;
}

/** What of flags and reserved bytes the device's version, or another flag, decides. */
function variants(opcode: number, flags: number, version2: boolean): { readonly flags: number; reserved: string } {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  switch (opcode) {
    case Opcode.batch:
      return { flags: version2 ? Flag.batchError : 0, reserved: '' };
    case Opcode.drain: {
      let allowed = version2 ? 0xf0000 : 0;
      if (version2 && has(Flag.readback1)) allowed |= 1 << 9;
      if (version2 && has(Flag.readback2)) allowed |= 1 << 10;
      const reserved = [...(has(Flag.readback1) ? [] : ['16-23']), ...(has(Flag.readback2) ? [] : ['24-31'])];
      return { flags: allowed, reserved: reserved.join(' ') };
    }
    case Opcode.fill:
      return { flags: version2 ? Flag.pattern16 : 0, reserved: has(Flag.pattern16) ? '' : '40-47' };
    case Opcode.translationFetch:
      return { flags: version2 ? Flag.useStride : 0, reserved: '' };
    case Opcode.crcGeneration:
    case Opcode.copyWithCrc: {
      let allowed = Flag.readSeed | Flag.rawCrc | Flag.straightData;
      if (has(Flag.readSeed)) allowed |= 1 << 11;
      if (version2) allowed |= Flag.crc64;
      const seed = has(Flag.crc64) ? '48-63' : '44-63';
      return { flags: allowed, reserved: has(Flag.readSeed) ? '40-47 56-63' : seed };
    }
    default:
      return { flags: 0, reserved: '' };
  }
}

/** Every error that a descriptor has, by status; for invalid flags the mask, else 0. Empty: it is to be executed. */
export function violations(bytes: Uint8Array, limits: Limits, inBatch: boolean): ReadonlyMap<number, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint32(4, true) & 0xffffff;
  const opcode = view.getUint8(7);
  const bit = (number: number): boolean => ((flags >> number) & 1) === 1;
  const zero = (first: number, last: number): boolean => bytes.subarray(first, last + 1).every((byte) => byte === 0);
  const found = new Map<number, number>();

  if (bit(2) && view.getUint8(8) % 32 !== 0) return new Map([[Status.recordAlignment, 0]]);
  const row = rows[opcode];
  const version2 = limits.version2 === true;
  const noTranslation = opcode === Opcode.translationFetch && !version2;
  if (row === undefined || noTranslation || (inBatch && (opcode === Opcode.batch || opcode === Opcode.drain))) {
    return new Map([[Status.unsupportedOperation, 0]]);
  }

  let allowed = Flag.recordAddressValid | Flag.requestInterrupt;
  if (inBatch) allowed |= Flag.fence;
  if (bit(2)) allowed |= Flag.requestRecord | (1 << 12);
  for (const letter of row.flags) allowed |= 1 << (letterBits[letter] ?? 31);
  if (!limits.blockOnFault) allowed &= ~Flag.blockOnFault;
  if (row.flags.includes('H')) allowed |= Flag.cacheControl2;
  if (!version2) allowed &= ~Flag.cacheControl2;
  if (row.flags.includes('H') && version2 && bit(14) && !bit(8)) allowed |= Flag.cacheControl3;
  const variant = variants(opcode, flags, version2);
  allowed |= variant.flags;
  let invalid = flags & ~allowed;
  if (row.record === true) invalid |= ~flags & 0b1100;
  if (opcode === Opcode.drain && !bit(3) && !bit(4)) invalid |= 0b11000;
  if (invalid !== 0) found.set(Status.invalidFlags, invalid);

  let reserved = `${row.reserved} ${variant.reserved}`.trim();
  if (!bit(4)) reserved += ' 36-37';
  if (!bit(2)) reserved += ' 8-15';
  for (const range of reserved.split(' ')) {
    const [first = 0, last = 0] = range.split('-').map(Number);
    if (!zero(first, last)) found.set(Status.reservedField, 0);
  }

  if (bit(4) && view.getUint16(36, true) >= limits.handles) found.set(Status.interruptHandle, 0);

  const size = view.getUint32(32, true);
  const first = view.getBigUint64(16, true);
  const second = view.getBigUint64(24, true);
  const third = view.getBigUint64(40, true);
  const meets = (a: bigint, b: bigint): boolean => (a < b ? b - a : a - b) < BigInt(size);
  if (opcode === Opcode.batch) {
    if (size < (version2 ? 1 : 2) || size > limits.maxBatch) found.set(Status.descriptorCount, 0);
    if (first % 64n !== 0n) found.set(Status.listAlignment, 0);
  } else if (opcode !== Opcode.noOp && opcode !== Opcode.drain) {
    if (size === 0 || size > limits.maxTransfer) found.set(Status.transferSize, 0);
  }
  if (opcode === Opcode.memoryMove && !limits.overlappingMove && meets(first, second)) found.set(Status.overlap, 0);
  if (opcode === Opcode.copyWithCrc && meets(first, second)) found.set(Status.overlap, 0);
  if (opcode === Opcode.dualcast) {
    if (second % 4096n !== third % 4096n) found.set(Status.dualcastAlignment, 0);
    if (meets(first, second) || meets(first, third) || meets(second, third)) found.set(Status.overlap, 0);
  }
  row.rules?.(view, found, limits);
  const seedAlignment = bit(19) ? 8n : 4n;
  if (row.crc === true && bit(16) && view.getBigUint64(48, true) % seedAlignment !== 0n) {
    found.set(Status.alignment, 0);
  }
  const stride = view.getUint32(48, true);
  if (opcode === Opcode.translationFetch && bit(16) && (stride < 4096 || (stride & (stride - 1)) !== 0)) {
    found.set(Status.alignment, 0);
  }
  return found;
}
