import { bitMask, hex } from './bits.ts';
import type { Layout } from './layout.ts';
import type { Register } from './register.ts';
import { STAGE_SIZE } from './table-format.ts';
import { bytesOf } from './validate.ts';

/**
 * A snapshot, little-endian: u32 magic, u32 version, u32 fingerprint of the layout, u32 bytes of values; then each
 * register's bytes in table order, the lock words, and the staging slots, padded between to 8 bytes each.
 */
const SNAPSHOT = { magic: 0x736e6170, version: 1, headerSize: 16 } as const;

const fingerprints = new WeakMap<Layout, number>();

/** FNV-1a over path, offset and width of every register and over the locks: what must be equal for a snapshot to fit. */
function fingerprintOf(layout: Layout): number {
  let hash = fingerprints.get(layout);
  if (hash !== undefined) return hash;
  hash = 0x811c9dc5;
  const parts = layout.registers.map(({ path, offset, register }) => `${path}@${offset}:${register.width}`);
  for (const character of `${parts.join(' ')} ${layout.locks.join(' ')} ${layout.lockWords} ${layout.stages}`)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  hash >>>= 0;
  fingerprints.set(layout, hash);
  return hash;
}

/** Pieces of a region's memory in the order of the snapshot. */
function* pieces(layout: Layout): Generator<readonly [offset: number, size: number]> {
  for (const { offset, register } of layout.registers) yield [offset, bytesOf(register)];
  yield [layout.lockOffset, 4 * layout.lockWords];
  yield [layout.stageOffset, STAGE_SIZE * layout.stages];
}

function sizeOf(layout: Layout): number {
  let size = SNAPSHOT.headerSize;
  for (const [, bytes] of pieces(layout)) size += bytes;
  return size;
}

/** Copies registers, locks and staged halves of a region's memory. */
export function takeSnapshot(layout: Layout, memory: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(sizeOf(layout));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SNAPSHOT.magic, true);
  view.setUint32(4, SNAPSHOT.version, true);
  view.setUint32(8, fingerprintOf(layout), true);
  view.setUint32(12, bytes.length - SNAPSHOT.headerSize, true);
  let at = SNAPSHOT.headerSize;
  for (const [offset, size] of pieces(layout)) {
    bytes.set(memory.subarray(offset, offset + size), at);
    at += size;
  }
  return bytes;
}

/** @throws Error if it is damaged or was taken of another layout */
function checkLayout(layout: Layout, bytes: Uint8Array): void {
  const expected = sizeOf(layout);
  if (bytes.length !== expected)
    throw new Error(`snapshot: ${bytes.length} bytes, this register block has ${expected}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: readonly (readonly [string, number, number])[] = [
    ['magic', 0, SNAPSHOT.magic],
    ['version', 4, SNAPSHOT.version],
    ['layout fingerprint', 8, fingerprintOf(layout)],
    ['length', 12, expected - SNAPSHOT.headerSize],
  ];
  for (const [name, at, value] of fields) {
    const found = view.getUint32(at, true);
    if (found !== value) throw new Error(`snapshot: ${name} is ${hex(found)}, expected ${hex(value)}`);
  }
}

/**
 * Looks whether a snapshot is one of a device like this: of the same layout, with the same values of what is constant and read-only.
 *
 * @throws Error that names what differs
 */
export function checkSnapshot(layout: Layout, memory: Uint8Array, bytes: Uint8Array): void {
  checkLayout(layout, bytes);
  let at = SNAPSHOT.headerSize;
  for (const { offset, path, register } of layout.registers) {
    const size = bytesOf(register);
    const fixed = constantBits(register);
    if (fixed !== 0n) {
      const found = littleEndian(bytes.subarray(at, at + size)) & fixed;
      const expected = littleEndian(memory.subarray(offset, offset + size)) & fixed;
      if (found !== expected) throw new Error(`snapshot: ${path} is ${hex(found)}, expected ${hex(expected)}`);
    }
    at += size;
  }
}

/** Bits that nothing changes once the device is made. */
function constantBits({ fields, options }: Register): bigint {
  if (options.constant !== true) return 0n;
  return Object.values(fields).reduce((bits, { access, lsb, msb }) => {
    return access === 'ro' ? bits | bitMask(msb, lsb) : bits;
  }, 0n);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/**
 * Copies a snapshot back.
 *
 * @throws Error if it is damaged or was taken of another layout; the memory is unchanged then
 */
export function applySnapshot(layout: Layout, memory: Uint8Array, bytes: Uint8Array): void {
  checkLayout(layout, bytes);
  let at = SNAPSHOT.headerSize;
  for (const [offset, size] of pieces(layout)) {
    memory.set(bytes.subarray(at, at + size), offset);
    at += size;
  }
}
