import { expect, it } from 'vitest';

import type { GuestResult } from './support/guest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

/** The driver's attributes of the device, by name. */
function attributes(guest: GuestResult): Map<string, string> {
  return new Map(guest.part('attributes').map((line) => line.split(' ') as [string, string]));
}

it('the in-tree driver probes dsa-cfg-v1', async () => {
  const guest = await bootGuest({ devices: [mdevDevice({ type: 'dsa-cfg-v1' })], script: 'probe.sh' });

  expect(guest.part('driver')).toEqual(['idxd']);
  expect(guest.part('state')).toEqual(['disabled']);
  expect(guest.part('queues')).toEqual(['8']);
  expect(guest.part('self-test').join('\n')).toMatch(/PASS/);
  expect(Object.fromEntries(attributes(guest))).toMatchObject({
    version: '0x100',
    configurable: '1',
    max_work_queues: '8',
    max_work_queues_size: '128',
    max_groups: '4',
    max_engines: '4',
  });
  expect(attributes(guest).get('errors')).toMatch(/^[0,]+$/);
  expect(() => void JSON.parse(guest.part('accel-config').join('\n'))).not.toThrow();
});

it('the in-tree driver probes dsa-1dwq-v1', async () => {
  const guest = await bootGuest({ devices: [mdevDevice({ type: 'dsa-1dwq-v1' })], script: 'probe.sh' });

  expect(guest.part('driver')).toEqual(['idxd']);
  expect(guest.part('queues')).toEqual(['1']);
  expect(Object.fromEntries(attributes(guest))).toMatchObject({
    version: '0x100',
    configurable: '0',
    max_work_queues: '1',
  });
});
