import { expect, test } from 'vitest';

import { reg32, reg64, registerBlock, RegisterRegion, ro, rw } from '../../src/emulation/index.ts';
import { bytesOf } from './support/bytes.ts';

const block = registerBlock(0x1000, {
  A: reg32(0, { a: rw(31, 0) }, { lockedBy: 'held' }),
  B: reg64(0x800, { b: rw(63, 0) }, { commit: 'last' }),
});

test('a snapshot holds what a region holds and nothing of the gaps', () => {
  const region = new RegisterRegion(block);
  expect(region.snapshot().length).toBe(16 + 4 + 8 + 4 + 16);
});

test('a damaged or foreign snapshot is refused and changes nothing', () => {
  const region = new RegisterRegion(block);
  region.registers.A.a = 7;
  const before = region.snapshot();
  const damaged = (at: number): Uint8Array => {
    const bytes = new RegisterRegion(block).snapshot();
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const other = registerBlock(0x1000, { A: block.registers.A, B: { ...block.registers.B, offset: 0x808 } });
  const renamed = registerBlock(0x1000, { A: block.registers.A, C: block.registers.B });
  const restore = (bytes: Uint8Array) => () => {
    region.restore(bytes);
  };
  expect(restore(damaged(0))).toThrow('snapshot: magic is 0x736e6171, expected 0x736e6170');
  expect(restore(damaged(4))).toThrow('snapshot: version is 0x0, expected 0x1');
  expect(restore(damaged(12))).toThrow('snapshot: length is');
  expect(restore(before.subarray(1))).toThrow('snapshot: 47 bytes, this register block has 48');
  expect(restore(new Uint8Array())).toThrow('snapshot: 0 bytes');
  expect(restore(new RegisterRegion(other).snapshot())).toThrow('snapshot: layout fingerprint is');
  expect(restore(new RegisterRegion(renamed).snapshot())).toThrow('snapshot: layout fingerprint is');
  expect(region.snapshot()).toEqual(before);
});

test('a snapshot inside a larger buffer is restored, with locks and staged bytes', () => {
  const region = new RegisterRegion(block);
  region.write(0x800, bytesOf(0x11n, 4));
  region.locks.held = true;
  const bytes = region.snapshot();
  const larger = new Uint8Array(bytes.length + 3);
  larger.set(bytes, 3);
  const copy = new RegisterRegion(block);
  copy.restore(larger.subarray(3));
  copy.write(0x804, bytesOf(0x22n, 4));
  expect(copy.registers.B.b).toBe(0x22_0000_0011n);
  expect(copy.locks.held).toBe(true);
});

test('a snapshot of a device that was made otherwise is seen, and what it changes itself is not', () => {
  const made = registerBlock(0x10, {
    ID: reg32(0, { id: ro(15, 0), scratch: rw(31, 16) }, { constant: true }),
    STATE: reg32(4, { state: ro(31, 0) }),
  });
  const one = new RegisterRegion(made);
  const other = new RegisterRegion(made);
  one.registers.ID.id = 1;
  other.registers.ID.id = 1;
  other.registers.ID.scratch = 7;
  other.registers.STATE.state = 7;
  one.checkSnapshot(other.snapshot());
  other.registers.ID.id = 2;
  expect(() => {
    one.checkSnapshot(other.snapshot());
  }).toThrow('snapshot: ID is 0x2, expected 0x1');
  expect(() => {
    one.checkSnapshot(new Uint8Array(3));
  }).toThrow('snapshot: 3 bytes');
  expect(one.registers.ID.id).toBe(1);
});
