import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

import {
  array,
  compile,
  describe as describeBlock,
  group,
  lockedBy,
  rc,
  reg16,
  reg32,
  reg64,
  reg8,
  registerBlock,
  RegisterRegion,
  ro,
  rw,
  w0c,
  w1c,
  w1s,
  wo,
} from '../../src/emulation/index.ts';
import { arbitraryBlock } from '../support/registers.ts';

/** Reads a native table as its documentation says, sharing nothing with the encoder. */
function decode(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => view.getUint32(at, true);
  const u64 = (at: number): bigint => view.getBigUint64(at, true);
  const [magic, version, entryCount, ruleCount, directoryCount, indexPageCount] = [0, 4, 8, 12, 16, 20].map(u32) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const rulesAt = 48 + 64 * entryCount;
  const directoryAt = rulesAt + 16 * ruleCount;
  const pagesAt = directoryAt + Math.ceil((2 * directoryCount) / 8) * 8;
  const entries = Array.from({ length: entryCount }, (_, i) => {
    const at = 48 + 64 * i;
    const first = u32(at + 8);
    return {
      offset: u32(at),
      size: view.getUint8(at + 4),
      flags: view.getUint8(at + 5),
      widths: view.getUint8(at + 6),
      rules: Array.from({ length: view.getUint8(at + 7) }, (__, j) => {
        const rule = rulesAt + 16 * (first + j);
        return { lockWord: u32(rule), mask: u32(rule + 4), bits: u64(rule + 8) };
      }),
      stage: u32(at + 12),
      planes: [0, 1, 2, 3, 4, 5].map((n) => u64(at + 16 + 8 * n)),
    };
  });
  const slotAt = (byte: number): number => {
    const page = view.getUint16(directoryAt + 2 * Math.floor(byte / 4096), true);
    return page === 0xffff ? 0 : view.getUint16(pagesAt + 8192 * page + 2 * (byte % 4096), true);
  };
  return {
    magic,
    version,
    ruleCount,
    directoryCount,
    indexPageCount,
    blockSize: u32(24),
    memorySize: u32(28),
    lockOffset: u32(32),
    stageOffset: u32(36),
    reserved: u64(40),
    length: pagesAt + 8192 * indexPageCount,
    entries,
    slotAt,
  };
}

describe('compile', () => {
  const block = registerBlock(0x3001, {
    WIDE: reg64(0x2000, { a: rw(40, 1), b: w1c(41), c: rc(63, 60) }, { lockedBy: 'x', shared: true }),
    A: reg32(0x04, { a: w1s(0), b: w0c(3, 1), c: wo(8), d: ro(31, 30) }, { widths: [1, 4], commit: 'last' }),
    B: reg8(0x03, { a: lockedBy(['x', 'y'], rw(0)), b: lockedBy('z', rw(1)) }),
    Q: array(
      0x10,
      8,
      2,
      { R: reg16(2, { r: rw(15, 0) }, { lockedBy: ['on', 'x'], commit: 'last' }) },
      { locks: ['on'] },
    ),
    G: group(0x20, { S: reg32(0, { s: rw(0) }) }),
  });

  it('writes the table as documented', () => {
    const table = compile(block, {
      WIDE: { beforeRead: () => undefined },
      Q: { R: { beforeWrite: () => undefined } },
      G: { S: { afterWrite: () => undefined } },
    });
    const decoded = decode(table.bytes);
    expect(decoded).toMatchObject({
      magic: 0x6d726567,
      version: 1,
      directoryCount: 4,
      indexPageCount: 2,
      blockSize: 0x3001,
      lockOffset: 0x3008,
      stageOffset: 0x3020,
      memorySize: 0x3020 + 3 * 16,
      reserved: 0n,
      length: table.bytes.length,
    });
    expect(table).toMatchObject({ memorySize: 0x3050, lockOffset: 0x3008, stageOffset: 0x3020 });
    const none = 0xffffffff;
    // Locks of the block get their bits in the order of the addresses: x and y and z by B, at offset 3.
    expect(decoded.entries).toEqual([
      {
        offset: 3,
        size: 1,
        flags: 0,
        widths: 0,
        stage: none,
        rules: [
          { lockWord: 0, mask: 0b011, bits: 1n },
          { lockWord: 0, mask: 0b100, bits: 2n },
        ],
        planes: [3n, 3n, 0n, 0n, 0n, 0n],
      },
      {
        offset: 4,
        size: 4,
        flags: 8,
        widths: 0b101,
        stage: 0,
        rules: [],
        planes: [0xc000000fn, 0x100n, 0n, 1n, 0b1110n, 0n],
      },
      ...[0, 1].map((i) => ({
        offset: 0x12 + 8 * i,
        size: 2,
        flags: 2 | 8,
        widths: 0,
        stage: 1 + i,
        rules: [
          { lockWord: 1 + i, mask: 1, bits: 0xffffn },
          { lockWord: 0, mask: 1, bits: 0xffffn },
        ],
        planes: [0xffffn, 0xffffn, 0n, 0n, 0n, 0n],
      })),
      { offset: 0x20, size: 4, flags: 2, widths: 0, stage: none, rules: [], planes: [1n, 1n, 0n, 0n, 0n, 0n] },
      {
        offset: 0x2000,
        size: 8,
        flags: 1 | 4,
        widths: 0,
        stage: none,
        rules: [{ lockWord: 0, mask: 1, bits: 2n ** 64n - 1n }],
        planes: [0xf00003fffffffffen, 0x1fffffffffen, 1n << 41n, 0n, 0n, 0xfn << 60n],
      },
    ]);
  });

  it('is done once per block and set of hooked registers', () => {
    const hook = { afterWrite: (): void => undefined };
    const table = compile(block, { A: hook, B: hook });
    expect(compile(block, { B: { beforeWrite: () => undefined }, A: { afterWrite: () => undefined } })).toBe(table);
    expect(compile(block, { A: hook })).not.toBe(table);
    expect(compile(block, { A: hook, B: { beforeRead: () => undefined } })).not.toBe(table);
    expect(compile(block)).toBe(compile(block, { A: {} }));
    expect(new RegisterRegion(block, { hooks: { A: hook, B: hook } }).table).toBe(table);
  });

  it('refuses hooks of nothing', () => {
    const hooksOf = (hooks: object) => () => compile(block, hooks);
    expect(hooksOf({ C: {} })).toThrow('hooks: there is no register C');
    expect(hooksOf({ Q: { S: {} } })).toThrow('hooks: there is no register Q.S');
    expect(hooksOf({ G: { T: {} } })).toThrow('hooks: there is no register G.T');
    expect(hooksOf({ A: { onWrite: () => undefined } })).toThrow(
      'hooks: A.onWrite is none of beforeRead, beforeWrite, afterWrite',
    );
    expect(hooksOf({ A: { afterWrite: true } })).toThrow('hooks: A.afterWrite is not a function');
    expect(hooksOf({ A: 5 })).toThrow('hooks: A is no object of hooks');
  });

  it('finds hooks of a class', () => {
    class Doorbell {
      rings = 0;
      afterWrite(): void {
        this.rings += 1;
      }
    }
    const doorbell = new Doorbell();
    const region = new RegisterRegion(block, { hooks: { G: { S: doorbell } } });
    region.write(0x20, new Uint8Array(1));
    expect(doorbell.rings).toBe(1);
  });
});

test('every byte of every block leads to its register, in the table as in the declaration', () => {
  fc.assert(
    fc.property(arbitraryBlock(), (block) => {
      const decoded = decode(compile(block).bytes);
      const rows = describeBlock(block);
      expect(decoded.entries.map(({ offset, size }) => [offset, 8 * size])).toEqual(
        rows.map(({ offset, width }) => [offset, width]),
      );
      const expected = new Uint16Array(block.size);
      rows.forEach(({ offset, width }, i) => expected.fill(i + 1, offset, offset + width / 8));
      expect(Uint16Array.from({ length: block.size }, (_, byte) => decoded.slotAt(byte))).toEqual(expected);
      expect(decoded.indexPageCount).toBe(new Set(rows.map(({ offset }) => Math.floor(offset / 4096))).size);
      expect(decoded.memorySize % 8).toBe(0);
    }),
    { numRuns: 100 },
  );
});
