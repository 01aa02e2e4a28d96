import { expect, test } from 'vitest';

import { type AcmeBehaviour, type AcmeContext, acmeInstance, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

/** An `async` function, as one that is not: the types of functions that give nothing accept it, and JavaScript does all. */
const late = (async () => {
  await Promise.resolve();
  throw new Error('late');
}) as unknown as () => undefined;

/** Where an asynchronous function is given, what calls it, and the path of the failure. */
const PLACES: readonly (readonly [string, AcmeBehaviour, (guest: Guest, context: AcmeContext) => unknown, string])[] = [
  [
    'reset',
    { reset: late },
    ({ device }) => {
      expect(() => {
        device.reset();
      }).toThrow();
    },
    'reset',
  ],
  [
    'stop',
    { stop: late },
    ({ device }) => {
      expect(() => {
        device.reset();
      }).toThrow();
    },
    'reset',
  ],
  [
    'busMaster',
    { busMaster: late },
    (guest) => {
      guest.write16(At.command, 6, CONFIG);
    },
    'config.COMMAND',
  ],
  [
    'powerState',
    { powerState: late },
    (guest) => {
      guest.write16(At.powerControl, 3, CONFIG);
    },
    'config.PMCSR',
  ],
  [
    'a hook',
    { hooks: { bar0: { DOORBELL: { afterWrite: late } } } },
    (guest) => {
      guest.write32(At.doorbell, 1);
    },
    'bar0.DOORBELL',
  ],
  [
    'resume',
    { quiesce: () => Promise.resolve(), resume: late },
    async ({ device }) => {
      await device.quiesce();
      expect(() => {
        device.resume();
      }).toThrow();
    },
    'resume',
  ],
];

test.each(PLACES)(
  'asynchronous %s fails the instance, and its rejection nobody else',
  async (_, behaviour, act, path) => {
    const rejections: unknown[] = [];
    const note = (error: unknown): void => {
      rejections.push(error);
    };
    process.on('unhandledRejection', note);
    try {
      const { device, context } = await acmeInstance(() => behaviour);
      const guest = new Guest(device, { command: 2 });
      await act(guest, context);
      expect([device.state, device.failure?.path]).toEqual(['failed', path]);
      expect(String(device.failure?.error)).toContain('gave a promise');
      await new Promise(setImmediate);
      await device.close();
      expect(rejections).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  },
);

test('asynchronous guestErrors fails the instance when a client comes', async () => {
  const guestErrors = late as () => never;
  const { device } = await acmeInstance(() => ({ guestErrors }));
  expect(() => device.attach({ name: 'vmm' })).toThrow(expect.objectContaining({ code: 'EIO' }));
  expect([device.state, device.failure?.path, device.attachment]).toEqual(['failed', 'guestErrors', undefined]);
});
