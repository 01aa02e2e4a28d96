import { describe, expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

/** Copies per thread. Long runs ask for more. */
const ITERATIONS = Number(process.env['MDEV_GUEST_ITERATIONS'] ?? 100);

describe('dmatest', () => {
  it('copies without a failure on one queue of dsa-cfg-v1', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 1 },
    });
    expect(guest.part('configurable')).toEqual(['1']);
    expectCleanCopies(guest, 1, 1, ITERATIONS);
  });

  it('copies without a failure on dsa-1dwq-v1 as it comes', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-1dwq-v1' })],
      script: 'copy.sh',
      env: { CONFIGURE: 'no', ITERATIONS, THREADS: 1 },
    });
    expect(guest.part('configurable')).toEqual(['0']);
    expectCleanCopies(guest, 1, 1, ITERATIONS);
  });

  it('copies from four threads at once', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 4 },
    });
    expectCleanCopies(guest, 1, 4, ITERATIONS);
  });

  it('copies from four threads in guest memory that the server cannot map', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 4 },
      share: false,
    });
    expectCleanCopies(guest, 1, 4, ITERATIONS);
  });
  it('copies without a failure while the driver has the event log in use', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1', set: { eventLog: 64 } })],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 4 },
    });
    // Only of a device that has one. 64 entries are what the driver takes when nobody asks for more.
    expect(guest.part('event_log_size')).toEqual(['64']);
    expectCleanCopies(guest, 1, 4, ITERATIONS);
  });
});
