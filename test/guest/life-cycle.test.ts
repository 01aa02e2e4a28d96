import { expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

it('survives unbinding and rebinding the driver', async () => {
  const guest = await bootGuest({ devices: [mdevDevice({ type: 'dsa-cfg-v1' })], script: 'rebind.sh' });
  expectCleanCopies(guest, 4, 1, 10);
});

it('works after function level resets', async () => {
  const guest = await bootGuest({ devices: [mdevDevice({ type: 'dsa-cfg-v1' })], script: 'flr.sh', allow: ['flr'] });
  expect(guest.part('reset-method').join(' ').split(' ')).toContain('flr');
  expect(guest.part('state-after-reset')).toEqual(['disabled']);
  expectCleanCopies(guest, 2, 1, 10);
});

it('works after a function level reset of a device in use', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
    script: 'flr-in-use.sh',
    allow: ['flr-in-use'],
  });
  expect(guest.part('state-after-reset')).toEqual(['enabled', 'disabled']);
  expectCleanCopies(guest, 1, 1, 10);
});

it('serves a guest that reboots twice', async () => {
  const guest = await bootGuest({ devices: [mdevDevice({ type: 'dsa-cfg-v1' })], script: 'reboot.sh', reboot: true });
  expect(guest.parts('boot-number')).toEqual([['1'], ['2'], ['3']]);
  expectCleanCopies(guest, 3, 1, 10);
});
