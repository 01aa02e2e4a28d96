import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { GuestErrors } from '../../../src/mdev/errors/guest-errors.ts';
import type { GuestError } from '../../../src/mdev/index.ts';
import { coreOf } from '../../../src/native/device-handle.ts';
import { acmeDevice, acmeInstance, At } from '../support/acme.ts';
import { Guest } from '../support/guest.ts';

test('counts begin with each client, and a kind is new once', () => {
  let total = 3;
  const errors = new GuestErrors(() => [
    { kind: 'a', message: `a ${total}`, count: total },
    { kind: 'b', message: 'b', count: 0 },
  ]);
  errors.begin();
  expect([errors.look(), errors.all]).toEqual([[], []]);
  total = 5;
  const first = { kind: 'a', message: 'a 5', count: 2 };
  expect([errors.look(), errors.all]).toEqual([[first], [first]]);
  total = 9;
  expect([errors.look(), errors.all]).toEqual([[], [{ ...first, count: 6 }]]);
  errors.begin();
  expect(errors.all).toEqual([]);
  total = 10;
  expect(errors.look()).toEqual([{ kind: 'a', message: 'a 10', count: 1 }]);
});

describe('an instance', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('tells the first mistake of each kind once, within a second or when its client leaves', async () => {
    const { device, context } = await acmeInstance(({ bar0: { locks } }) => {
      locks.running = true;
      return { hooks: { bar0: { TARGET: { afterWrite: () => undefined } } } };
    });
    const told: GuestError[] = [];
    device.on('guestError', (error) => told.push(error));
    const guest = new Guest(device);
    const source = { kind: 'frozenWrites', message: 'a write was ignored: its register is locked', count: 2 };
    guest.write64(At.source, 1n);
    guest.write64(At.source, 1n);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(told.splice(0)).toEqual([source]);
    guest.write64(At.source, 1n);
    vi.advanceTimersByTime(3000);
    expect([told, device.guestErrors]).toEqual([[], [{ ...source, count: 3 }]]);

    expect(coreOf(context.device).dmaRead(0n, new Uint8Array(8))).not.toBe(0);
    guest.tryRead(0, 0x10_0000, new Uint8Array(4));
    guest.close();
    expect(told.splice(0)).toMatchObject([{ kind: 'refused', count: 1 }]);
    expect(vi.getTimerCount()).toBe(0);

    // The next client’s guest begins anew; a register with hooks is named.
    const next = new Guest(device);
    expect(device.guestErrors).toEqual([]);
    next.write64(At.target, 1n);
    vi.advanceTimersByTime(1000);
    expect(told).toEqual([
      { kind: 'frozenWrites', message: 'a write was ignored: its register is locked (bar0.TARGET)', count: 1 },
    ]);
    next.close();
    const third = new Guest(device);
    told.length = 0;
    third.write64(At.source, 1n);
    await device.close();
    expect(told).toEqual([{ ...source, count: 1 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('asks its behaviour, which fails it by throwing', async () => {
    let count = 1;
    const device = await acmeDevice(() => ({
      guestErrors: () => {
        if (count > 2) throw new Error('lost count');
        return [{ kind: 'lane', message: 'lane 2 overran', count }];
      },
    }));
    const told: GuestError[] = [];
    device.on('guestError', (error) => told.push(error));
    new Guest(device);
    count = 2;
    vi.advanceTimersByTime(1000);
    expect(told).toEqual([{ kind: 'lane', message: 'lane 2 overran', count: 1 }]);
    count = 3;
    vi.advanceTimersByTime(1000);
    expect([device.state, device.failure?.path]).toEqual(['failed', 'guestErrors']);
    await device.close();
  });
});

test('statistics tell dropped from frozen writes, whoever refused them', async () => {
  const device = await acmeDevice(({ bar0: { locks } }) => {
    locks.running = true;
    return { hooks: { bar0: { TARGET: { afterWrite: () => undefined } } } };
  });
  const guest = new Guest(device);
  guest.write64(At.source, 1n);
  guest.write64(At.target, 1n);
  expect(device.statistics).toMatchObject({ droppedWrites: 0, frozenWrites: 2 });
});
