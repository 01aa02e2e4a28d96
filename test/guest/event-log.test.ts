import { expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

it('takes errors out of the event log, one interrupt after another', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1', set: { eventLog: 64 } })],
    script: 'event-log.sh',
    allow: ['event-log'],
  });
  // Only of a device that has one. 64 entries are what the driver takes when nobody asks for more.
  expect(guest.part('event_log_size')).toEqual(['64']);
  const said = 'Device error 0x1b operation: 0x0 fault addr: 0x0';
  expect(guest.part('device_errors')).toEqual([said, said, said]);
  // None of them is in SWERROR.
  expectCleanCopies(guest, 1, 1, 50);
});
