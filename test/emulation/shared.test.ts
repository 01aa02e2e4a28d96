// Shared registers and locks while another thread changes the same words.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { expect, test } from 'vitest';

import {
  compile,
  offsetOf,
  reg32,
  reg64,
  registerBlock,
  RegisterRegion,
  ro,
  rw,
  w1c,
} from '../../src/emulation/index.ts';

const block = registerBlock(0x40, {
  NARROW: reg32(0x00, { cause: w1c(7, 0), mine: rw(15, 8), count: ro(31, 16) }, { shared: true }),
  WIDE: reg64(0x08, { cause: w1c(7, 0), mine: rw(15, 8), count: ro(63, 32) }, { shared: true }),
  HOOKED: reg32(0x10, { cause: w1c(7, 0), mine: rw(15, 8), count: ro(31, 16) }, { shared: true }),
  GUARDED: reg32(0x14, { on: rw(0) }, { lockedBy: 'held' }),
});

const ROUNDS = 300_000;

// The other thread counts in the upper bits and sets cause bits, until it is told to stop. It counts in the lock word too,
// above the only lock.
// The last two words of the memory are beyond the region: told to stop, and rounds done.
const ENGINE = `
  const { memory, narrow, wide, hooked, lock } = require('node:worker_threads').workerData;
  const words = new Int32Array(memory);
  const longs = new BigInt64Array(memory);
  const [stop, done] = [words.length - 2, words.length - 1];
  while (Atomics.load(words, stop) === 0) {
    Atomics.add(words, narrow, 0x10000);
    Atomics.or(words, narrow, 1 << (words[done] & 7));
    Atomics.add(longs, wide, 1n << 32n);
    Atomics.add(words, hooked, 0x10000);
    Atomics.add(words, lock, 2);
    Atomics.add(words, done, 1);
  }
`;

test('no update of another thread is lost to the guest, the device side, or hooks', async () => {
  const hooks = { HOOKED: { beforeWrite: () => ({ cause: 1 }), afterWrite: () => ({ cause: 0 }) } };
  const table = compile(block, hooks);
  const memory = new SharedArrayBuffer(table.memorySize + 16);
  // A region takes what its native side gives it, an ArrayBuffer; atomic operations make no difference between the two.
  const region = new RegisterRegion(table, { hooks, memory: memory as unknown as ArrayBuffer });
  const words = new Int32Array(memory);
  const [stop, done] = [words.length - 2, words.length - 1];
  const workerData = {
    memory,
    narrow: offsetOf(block, 'NARROW') / 4,
    wide: offsetOf(block, 'WIDE') / 8,
    hooked: offsetOf(block, 'HOOKED') / 4,
    lock: table.lockOffset / 4,
  };
  const worker = new Worker(ENGINE, { eval: true, workerData });
  const ended = once(worker, 'exit');
  while (Atomics.load(words, done) === 0) await new Promise(setImmediate);
  const before = Atomics.load(words, done);
  const { NARROW, WIDE, HOOKED } = region.registers;
  const paths = [offsetOf(block, 'NARROW'), offsetOf(block, 'WIDE'), offsetOf(block, 'HOOKED')];
  const data = new Uint8Array(2).fill(0xff);
  let lost = 0;
  // On one core, the two take turns and rarely meet inside an operation; at least the turns must change.
  for (let i = 0; i < ROUNDS || Atomics.load(words, done) - before < 1000; i++) {
    const guest = i & 0xff;
    data[1] = guest;
    for (const offset of paths) region.write(offset, data);
    if (NARROW.mine !== guest || WIDE.mine !== guest || HOOKED.mine !== guest) lost += 1;
    const device = guest ^ 0x55;
    NARROW.mine = device;
    WIDE.mine = device;
    if (NARROW.mine !== device || WIDE.mine !== device) lost += 1;
    region.locks.held = (i & 1) === 0;
    if (region.locks.held !== ((i & 1) === 0)) lost += 1;
  }
  Atomics.store(words, stop, 1);
  expect(await ended).toEqual([0]);
  const rounds = Atomics.load(words, done);
  expect(lost).toBe(0);
  expect(NARROW.count).toBe(rounds % 2 ** 16);
  expect(WIDE.count).toBe(rounds);
  expect(HOOKED.count).toBe(rounds % 2 ** 16);
  expect(Atomics.load(words, workerData.lock) >>> 1).toBe(rounds);
});
