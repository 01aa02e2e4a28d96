import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { MdevFailure } from '../../../src/mdev/index.ts';
import { acmeInstance, acmeRegistry, type AcmeContext } from '../support/acme.ts';

describe('tasks', () => {
  test('a rejection fails the instance', async () => {
    const { device, context } = await acmeInstance();
    const failed = new Promise<MdevFailure>((resolve) => device.once('failed', resolve));
    context.task(() => Promise.reject(new Error('lost')));
    expect(await failed).toMatchObject({ path: 'task', error: new Error('lost') });
    expect(device.state).toBe('failed');
  });

  test('a reset ends the signals of running tasks, whose rejection is nothing; later ones have a new one', async () => {
    const { device, context } = await acmeInstance();
    const ended: string[] = [];
    const run = (name: string): void => {
      context.task(
        (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              ended.push(name);
              reject(new Error('ended'));
            });
          }),
      );
    };
    run('first');
    device.reset();
    expect(ended).toEqual(['first']);
    run('second');
    await Promise.resolve();
    expect(device.state).toBe('created');
    await device.close();
    expect(ended).toEqual(['first', 'second']);
    run('third');
    expect(context.signal.aborted).toBe(true);
  });
});

describe('a vendor that does not let go', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const never = (): Promise<never> => new Promise(() => undefined);

  test('tasks that ignore their signal are left alone after 2 s, by name; removal gives everything back', async () => {
    const contexts: AcmeContext[] = [];
    const registry = acmeRegistry({
      maxInstances: 1,
      create: (context) => {
        contexts.push(context);
        return {};
      },
    });
    const device = await registry.create({ parent: 'acme0', type: 'channel' });
    const abandoned: (readonly string[])[] = [];
    device.on('abandoned', (work) => abandoned.push(work));
    const [context] = contexts;
    async function refill(): Promise<void> {
      await never();
    }
    context?.task(refill);
    context?.task(never, 'heartbeat');
    context?.task(() => never());
    context?.task(
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
        }),
      'obedient',
    );
    let removed = false;
    const removal = registry.remove(device.uuid).then(() => {
      removed = true;
    });
    await vi.advanceTimersByTimeAsync(1999);
    expect([removed, abandoned]).toEqual([false, []]);
    await vi.advanceTimersByTimeAsync(1);
    await removal;
    expect([device.state, abandoned]).toEqual(['closed', [['refill', 'heartbeat', 'task 3']]]);
    expect(vi.getTimerCount()).toBe(0);
    await registry.create({ parent: 'acme0', type: 'channel' });
  });

  test('so is a behaviour that does not close, and what it throws later is nothing', async () => {
    let throwLate = (): void => undefined;
    const { device } = await acmeInstance(() => ({
      close: () =>
        new Promise((_, reject) => {
          throwLate = () => {
            reject(new Error('late'));
          };
        }),
    }));
    const told: unknown[] = [];
    device.on('abandoned', (work) => told.push(work));
    device.on('closed', () => told.push('closed'));
    const closing = device.close();
    await vi.advanceTimersByTimeAsync(2000);
    await closing;
    expect(told).toEqual([['close'], 'closed']);
    throwLate();
    await Promise.resolve();
  });

  test('nobody waits for those that do, nor hears of them', async () => {
    const { device, context } = await acmeInstance(() => ({ close: () => Promise.resolve() }));
    device.on('abandoned', (work) => {
      throw new Error(work.join());
    });
    context.task(() => Promise.resolve());
    await device.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
