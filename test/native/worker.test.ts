import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { expect, it } from 'vitest';

const fixture = fileURLToPath(new URL('./support/busy-environment.mjs', import.meta.url));

/** A Worker that uses every object of the addon and leaves them all open. */
async function busyWorker(): Promise<Worker> {
  const worker = new Worker(fixture);
  await new Promise<void>((settle, reject) => {
    worker.once('message', () => {
      settle();
    });
    worker.once('error', reject);
  });
  return worker;
}

it('several environments use the addon and end while it is busy', async () => {
  for (let round = 0; round < 3; round++) {
    const workers = await Promise.all([busyWorker(), busyWorker()]);
    expect(await Promise.all(workers.map((worker) => worker.terminate()))).toEqual([1, 1]);
  }
});

it.each(['exit', 'fall off', 'throw'])('a process with open objects ends by "%s"', (ending) => {
  const { status, signal, stderr } = spawnSync(process.execPath, [fixture, ending], { encoding: 'utf8' });
  expect({ status, signal }, stderr).toEqual({ status: ending === 'throw' ? 7 : 0, signal: null });
});
