import { afterEach, beforeEach, expect, it } from 'vitest';

import { GuestMemory } from '../../../src/cli/demo/guest-memory.ts';

let memory: GuestMemory;

beforeEach(() => {
  memory = new GuestMemory(8192);
});
afterEach(() => {
  memory.close();
});

it('finds any byte that is not as expected, and names it', () => {
  memory.check('before');
  for (const offset of [0, 1, 4095, 8191]) {
    memory.actual[offset] = (memory.actual[offset] ?? 0) ^ 0x80;
    expect(() => {
      memory.check('Move');
    }).toThrow(`Move: the byte at 0x${memory.address(offset).toString(16)} is 0x`);
    memory.expected[offset] = memory.actual[offset] ?? 0;
    memory.check('mended');
  }
});

it('takes what the guest writes for expected', () => {
  memory.write(100, Uint8Array.of(1, 2, 3));
  memory.check('written');
  expect([...memory.actual.subarray(100, 103)]).toEqual([1, 2, 3]);
});
