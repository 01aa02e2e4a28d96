import { expect, test } from 'vitest';

import { MdevRegistry, ParentDevice } from '../../../src/mdev/index.ts';
import { acmeInstance, acmeRegistry, acmeType, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';
import { uncaughtDuring } from '../support/uncaught.ts';

test('who is told of the state and resets at once has an instance that works, and nobody is told of a void freeze', async () => {
  const { device, context } = await acmeInstance();
  const guest = new Guest(device);
  const frozen: unknown[] = [];
  device.on('frozen', (failure) => frozen.push(failure));
  device.on('state', ({ to }) => {
    if (to === 'frozen') device.reset();
  });
  context.freeze(new Error('parity'));
  guest.write16(At.command, 6, CONFIG);
  expect([device.state, device.failure, frozen, guest.read32(At.version)]).toEqual(['running', undefined, [], 0x100]);
});

test('who is told of a failure and closes at once closes what has stopped', async () => {
  const log: string[] = [];
  const { device, context } = await acmeInstance(() => ({
    stop: () => log.push('stop'),
    close: () => {
      log.push('close');
    },
  }));
  device.on('state', ({ to }) => {
    if (to === 'failed') void device.close();
  });
  device.on('failed', () => log.push('failed'));
  device.on('closed', () => log.push('closed'));
  context.fail(new Error('broken'));
  await device.close();
  expect([log[0], log.at(-2), log.at(-1)]).toEqual(['stop', 'close', 'closed']);
  expect(log).not.toContain('failed');
});

test('listeners of a registry that throw disturb nothing', async () => {
  let closed = 0;
  const registry = new MdevRegistry();
  const broken = new Error('listener');
  for (const event of ['parentRegistered', 'parentUnregistered', 'created', 'removed'] as const) {
    registry.on(event, () => {
      throw broken;
    });
  }
  const close = (): void => {
    closed += 1;
  };
  const errors = await uncaughtDuring(async () => {
    registry.register(
      new ParentDevice({ name: 'acme0', driverName: 'acme', types: [acmeType()], maxInstances: 1, close }),
    );
    const device = await registry.create({ parent: 'acme0', type: 'channel' });
    await registry.remove(device.uuid);
    await registry.create({ parent: 'acme0', type: 'channel' });
    await registry.unregister('acme0');
  });
  expect([errors, closed, registry.parents]).toEqual([Array(6).fill(broken), 1, []]);
});

test('resources that cannot be disposed of are told with the removal', async () => {
  const stuck = new Error('stuck');
  const registry = acmeRegistry();
  const type = Object.assign(Object.create(acmeType()) as ReturnType<typeof acmeType>, {
    resources: {
      available: () => 1,
      allocate: () => ({
        [Symbol.dispose]: () => {
          throw stuck;
        },
      }),
    },
  });
  registry.register(new ParentDevice({ name: 'acme1', driverName: 'acme', types: [type] }));
  const errors: unknown[] = [];
  registry.on('removed', ({ error }) => errors.push(error));
  const device = await registry.create({ parent: 'acme1', type: 'channel' });
  await registry.remove(device.uuid);
  expect([errors, registry.devices, registry.parent('acme1').instances]).toEqual([[stuck], [], 0]);
});
