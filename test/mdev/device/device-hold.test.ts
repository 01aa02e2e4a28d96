import { describe, expect, test } from 'vitest';

import { powerManagement } from '../../../src/emulation/index.ts';
import { acmeInstance, At } from '../support/acme.ts';
import { errorCard } from '../support/error-card.ts';
import { CONFIG, Guest } from '../support/guest.ts';
import { uncaughtDuring } from '../support/uncaught.ts';

describe('a client that comes to a frozen instance', () => {
  test('gets it reset, as vfio-pci resets a function that is opened', async () => {
    const { device, context } = await acmeInstance();
    new Guest(device).close();
    const told: string[] = [];
    device.on('state', ({ from, to, transition }) => told.push(`${from} -${transition}-> ${to}`));
    device.on('reset', ({ cause }) => told.push(`reset by ${cause}`));
    context.freeze(new Error('parity'));
    expect(device.failure?.error).toEqual(new Error('parity'));
    const guest = new Guest(device);
    expect(told).toEqual([
      'created -freeze-> frozen',
      'reset by client',
      'frozen -recoverIdle-> created',
      'created -attach-> attached',
      'attached -start-> running',
    ]);
    expect([device.failure, guest.read32(At.version)]).toEqual([undefined, 0x100]);
  });

  test('is refused while that mends nothing, and may try again', async () => {
    let broken = true;
    const { device, context } = await acmeInstance((own) => ({
      reset: () => {
        if (broken) own.freeze(new Error('still'));
      },
    }));
    context.freeze(new Error('parity'));
    expect(() => device.open({ name: 'vmm' })).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect([device.state, device.attachment, device.group.inUse]).toEqual(['frozen', undefined, false]);
    broken = false;
    device.open({ name: 'vmm' });
    expect(device.state).toBe('running');
  });
});

describe('who is told of a hold and ends it', () => {
  test.each(['attach', 'start'])('by closing at %s leaves nobody in it', async (transition) => {
    const { device } = await acmeInstance(() => ({ guestErrors: () => [] }));
    device.on('state', (change) => {
      if (change.transition === transition) void device.close();
    });
    const revoked: string[] = [];
    expect(() => device.open({ name: 'vmm', onRevoked: (reason) => revoked.push(reason) })).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    );
    await device.close();
    expect([device.state, device.attachment, revoked.length]).toEqual(['closed', undefined, 1]);
  });

  test('by failing it: open lets go of it', async () => {
    const { device, context } = await acmeInstance();
    device.on('attached', () => {
      context.fail(new Error('broken'));
    });
    expect(() => device.open({ name: 'vmm' })).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect([device.state, device.attachment]).toEqual(['failed', undefined]);
  });

  test('by freezing it: a reset makes it attached to nobody who has begun', async () => {
    const { device, context } = await acmeInstance();
    let once = true;
    device.on('state', ({ transition }) => {
      if (transition !== 'attach' || !once) return;
      once = false;
      context.freeze(new Error('parity'));
    });
    const hold = device.attach({ name: 'vmm' });
    device.reset();
    expect(device.state).toBe('attached');
    hold.start();
    expect(device.state).toBe('running');
  });

  test('by throwing changes nothing', async () => {
    const { device } = await acmeInstance();
    device.on('attached', () => {
      throw new Error('listener');
    });
    expect(await uncaughtDuring(() => device.open({ name: 'vmm' }))).toEqual([new Error('listener')]);
    expect(device.state).toBe('running');
  });
});

describe('resume is called only for who goes on', () => {
  test('not when the instance was closed while it was being quiesced', async () => {
    const log: string[] = [];
    let paused = (): void => undefined;
    const { device } = await acmeInstance(() => ({
      quiesce: () =>
        new Promise<void>((resolve) => {
          paused = resolve;
        }),
      resume: () => log.push('resume'),
      close: () => {
        log.push('close');
      },
    }));
    device.open({ name: 'vmm' });
    const quiesced = device.quiesce();
    await device.close();
    paused();
    await expect(quiesced).rejects.toMatchObject({ code: 'ENODEV' });
    expect(log).toEqual(['close']);
  });

  test('not when who is told that the client has left closes it', async () => {
    const log: string[] = [];
    const { device } = await acmeInstance(() => ({
      quiesce: () => Promise.resolve(),
      resume: () => log.push('resume'),
      close: () => {
        log.push('close');
      },
    }));
    const session = device.open({ name: 'vmm' });
    await device.quiesce();
    device.on('state', ({ transition }) => {
      if (transition === 'detach') void device.close();
    });
    session.sync.close();
    await device.close();
    expect(log).toEqual(['close']);
  });

  test('after the reset that mends what was paused when it froze', async () => {
    const log: string[] = [];
    const { device, context } = await acmeInstance(() => ({
      quiesce: () => Promise.resolve(),
      resume: () => log.push('resume'),
      reset: () => log.push('reset'),
    }));
    device.open({ name: 'vmm' });
    await device.quiesce();
    context.freeze(new Error('parity'));
    device.reset();
    expect([device.state, log]).toEqual(['running', ['reset', 'resume']]);
  });
});

test('a reset by leaving D3hot is told as such', async () => {
  const { device } = await errorCard(undefined, {}, [powerManagement({ offset: 0x40, noSoftReset: false })]);
  const guest = new Guest(device);
  const causes: string[] = [];
  device.on('reset', ({ cause }) => causes.push(cause));
  guest.write16(0x44, 3, CONFIG);
  guest.write16(0x44, 0, CONFIG);
  expect(causes).toEqual(['power']);
});
