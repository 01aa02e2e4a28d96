import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { expect, it } from 'vitest';

import { compile } from '../../src/emulation/index.ts';
import { collectGarbage } from '../native/support/garbage.ts';
import { descriptor, Opcode, Status } from './support/descriptor.ts';
import { BASE, PAGE, registers, TestDevice, waitFor } from './support/device.ts';

const fixture = fileURLToPath(new URL('./support/busy-engines.mjs', import.meta.url));
const env = { ...process.env, MDEV_TEST_TABLE: Buffer.from(compile(registers).bytes).toString('hex') };

it('Workers end while their engines are busy', async () => {
  for (let round = 0; round < 2; round++) {
    const workers = await Promise.all(
      [0, 1].map(async () => {
        const worker = new Worker(fixture, { env });
        await new Promise((settle, reject) => {
          worker.once('message', settle);
          worker.once('error', reject);
        });
        return worker;
      }),
    );
    expect(await Promise.all(workers.map((worker) => worker.terminate()))).toEqual([1, 1]);
  }
});

it.each(['exit', 'fall off', 'throw', 'close engines last', 'close the device first'])(
  'a process with busy engines ends by "%s"',
  (ending) => {
    const { status, signal, stderr } = spawnSync(process.execPath, [fixture, ending], { encoding: 'utf8', env });
    expect({ status, signal }, stderr).toEqual({ status: ending === 'throw' ? 1 : 0, signal: null });
  },
);

/** This process's threads that tests of this file started. */
function engineThreads(): number {
  return readdirSync('/proc/self/task').filter((task) => nameOf(task).startsWith('test-engine')).length;
}

/** Empty for a thread that has ended since it was listed. */
function nameOf(task: string): string {
  try {
    return readFileSync(`/proc/self/task/${task}/comm`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}

it('closing ends the threads and leaves no descriptor open', () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let round = 0; round < 20; round++) {
    using device = new TestDevice({ engines: 3, pages: 4096 });
    device.enable();
    const size = 4 << 20;
    for (let i = 0; i < 10; i++) {
      device.submit(descriptor({ opcode: Opcode.memoryMove, first: BASE, second: BASE + 2 * size, size }));
    }
  }
  expect(engineThreads()).toBe(0);
  expect(open()).toBe(before);
});

it('what is only forgotten is collected: queue devices, groups, and then their engines', async () => {
  (() => {
    const device = new TestDevice({ engines: 2, pages: 16 });
    device.enable();
    device.submit(descriptor({ opcode: Opcode.fill, second: BASE + PAGE, size: PAGE }));
  })();
  // Threads name themselves.
  waitFor('the engines', () => engineThreads() === 2);
  for (let turn = 0; turn < 50 && engineThreads() > 0; turn++) {
    collectGarbage();
    await nextTurn();
  }
  expect(engineThreads()).toBe(0);
});

it('descriptors complete and interrupt while the event loop is blocked for a second', () => {
  using device = new TestDevice();
  device.enable();
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 20; i++) {
    device.submit(
      descriptor({
        opcode: Opcode.fill,
        first: i,
        second: BASE + PAGE,
        size: PAGE,
        record: BASE + i * 32,
        interrupt: 2,
      }),
    );
  }
  // A second in which this thread runs nothing at all, not even JavaScript.
  expect(Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)).toBe('timed-out');
  expect(device.queues.statistics(0).completed).toBe(20);
  expect(device.raised(2)).toBe(20);
  for (let i = 0; i < 20; i++) expect(device.record(i * 32).status).toBe(Status.success);
  expect(turns).toBe(0);
  clearInterval(timer);
});
