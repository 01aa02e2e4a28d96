import { readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';

import { duplicateFd, type EventFd, eventfd, signalFd } from '../../src/native/binding.ts';

/** The counter of the next signal. */
async function signalled(event: EventFd): Promise<number> {
  return await new Promise((settle) => {
    event.onSignal((count) => {
      event.onSignal(null);
      settle(count);
    });
  });
}

it('counts what is signalled', () => {
  const event = eventfd();
  expect(readlinkSync(`/proc/self/fd/${event.fd}`)).toBe('anon_inode:[eventfd]');
  expect(event.read()).toBe(0);
  event.signal();
  event.signal();
  expect(event.read()).toBe(2);
  expect(event.read()).toBe(0);
  event.close();
});

it('calls back with the counter', async () => {
  const event = eventfd();
  const first = signalled(event);
  event.signal();
  event.signal();
  expect(await first).toBe(2);
  // Signals before anybody waits are not lost.
  event.signal();
  expect(await signalled(event)).toBe(1);
  expect(event.read()).toBe(0);
  event.close();
});

it('runs promises and ticks after the callback', async () => {
  const event = eventfd();
  const order: string[] = [];
  const done = new Promise<void>((settle) => {
    event.onSignal(() => {
      void Promise.resolve().then(() => order.push('promise'));
      process.nextTick(() => order.push('tick'));
      setImmediate(() => {
        order.push('immediate');
        settle();
      });
      order.push('callback');
      event.close();
    });
  });
  event.signal();
  await done;
  expect(order).toEqual(['callback', 'tick', 'promise', 'immediate']);
});

it('stops when told to, also from within the callback', async () => {
  const event = eventfd();
  const later = eventfd();
  /** Whatever was signalled before has been told. */
  const told = async (): Promise<void> => {
    // The first may come in one round with what it stands behind, and before it.
    for (let round = 0; round < 2; ++round) {
      const mark = signalled(later);
      later.signal();
      await mark;
    }
  };
  let calls = 0;
  event.onSignal(() => {
    calls += 1;
    event.onSignal(null);
  });
  event.signal();
  await told();
  expect(calls).toBe(1);
  event.signal();
  await told();
  expect(calls).toBe(1);
  expect(event.read()).toBe(1);
  event.onSignal(() => (calls += 1));
  event.signal();
  event.close();
  await told();
  expect(calls).toBe(1);
  later.close();
});

it('ends with its descriptor', () => {
  const event = eventfd();
  event.close();
  event.close();
  event.unref();
  expect(event.fd).toBe(-1);
  const closed = expect.objectContaining({ code: 'EBADF' }) as Error;
  expect(() => {
    event.signal();
  }).toThrow(closed);
  expect(() => event.read()).toThrow(closed);
  expect(() => {
    event.onSignal(() => undefined);
  }).toThrow(closed);
});

it('refuses a callback that is none', () => {
  const event = eventfd();
  expect(() => {
    event.onSignal(5 as unknown as null);
  }).toThrow('callback is neither a function nor null');
  event.close();
});

it('is signalled through a bare descriptor', () => {
  const event = eventfd();
  const copy = duplicateFd(event.fd);
  signalFd(copy);
  expect(event.read()).toBe(1);
  event.close();
});
