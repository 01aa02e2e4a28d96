import { expect, it } from 'vitest';

import { parseSummary } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

const THREADS = 2;
const ITERATIONS = 50;
const THRESHOLD = 8;
/** Each that fails takes dmatest 100 ms, and the threshold is 0 for a second. */
const TRIES = 60;

it('a shared kernel queue takes what ENQCMDS brings, or the device says Retry and the driver tries again', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-1swq-v1', set: { pasid: 'on', entries: 32 }, platform: { pasid: 'shown' } })],
    // Linux uses no shared queue without PASIDs.
    qemuArguments: [
      '-device',
      'intel-iommu,intremap=on,caching-mode=on,scalable-mode=on,fsts=on,svm=on,pasid-bits=20,device-iotlb=on',
    ],
    // The script writes a register beside the driver.
    append: 'setcpuid=movdir64b,enqcmd iomem=relaxed',
    script: 'shared.sh',
    env: { ITERATIONS, THREADS, THRESHOLD, TRIES },
  });
  const [pasid, mode, threshold, retries] = guest.part('queue');
  expect([pasid, mode, threshold]).toEqual(['1', 'shared', `${THRESHOLD}`]);
  const [copies = [], tries = []] = guest.parts('dmatest').map((lines) => lines.map(parseSummary));
  expect(copies).toEqual(Array.from({ length: THREADS }, () => ({ tests: ITERATIONS, failures: 0 })));
  expect(tries).toEqual([{ tests: TRIES, failures: expect.any(Number) as number }]);
  const { failures = 0 } = tries[0] ?? {};
  expect(failures).toBeGreaterThan(0);
  expect(failures).toBeLessThan(TRIES);
  // The device has answered each attempt, and the driver has believed it.
  const [before, after] = guest.parts('taken').map(([count]) => Number(count));
  expect([before, after]).toEqual([THREADS * ITERATIONS, THREADS * ITERATIONS + TRIES - failures]);
  const attempts = Number(retries) + 1;
  const [none, retried = 0] = guest.parts('retried').map(([count]) => Number(count));
  expect(none).toBe(0);
  expect(retried).toBeGreaterThanOrEqual(failures * attempts);
  // One copy may have been tried before and after the threshold changed.
  expect(retried).toBeLessThan((failures + 1) * attempts);
  for (const errors of guest.parts('errors')) expect(errors.join('')).toMatch(/^[0,]+$/);
});
