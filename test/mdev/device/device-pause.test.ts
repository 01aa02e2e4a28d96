import { afterEach, describe, expect, it, vi } from 'vitest';

import { MigrationState as S } from '../../../src/mdev/index.ts';
import { counter, saved } from '../support/migratable.ts';
import { plainMigratable } from '../support/plain-card.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('an instance that several want to pause', () => {
  it('is stopped by its client although its owner has paused it, and goes on when both let it', async () => {
    for (const last of ['owner', 'client'] as const) {
      const one = await counter();
      using session = one.device.open({ name: 'vmm' });
      await one.device.quiesce();
      await session.setMigrationState(S.stop);
      expect((await saved(session)).length).toBeGreaterThan(0);
      const client = (): Promise<void> => session.setMigrationState(S.running);
      const owner = (): void => {
        one.device.resume();
      };
      if (last === 'owner') await client();
      else owner();
      expect([one.device.state, one.running]).toEqual(['quiesced', false]);
      if (last === 'owner') owner();
      else await client();
      expect([one.device.state, one.running]).toEqual(['running', true]);
      expect(owner).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    }
  });

  it('is not quiesced by its owner while it moves to another process, which would not know', async () => {
    const one = await counter();
    let stopped = (): void => undefined;
    one.quiescing = new Promise((resolve) => (stopped = resolve));
    const moving = one.device.transfer?.suspend({ unlessQuiesced: true });
    await expect(one.device.quiesce()).rejects.toMatchObject({ code: 'EBUSY' });
    stopped();
    await moving;
    // A second one changes nothing.
    await expect(one.device.transfer?.suspend({ unlessQuiesced: true })).rejects.toMatchObject({ code: 'EBUSY' });
    await expect(one.device.quiesce()).rejects.toThrow('moves to another process');
    one.device.transfer?.resume();
    using _session = one.device.open({ name: 'vmm' });
    await one.device.quiesce();
    expect([one.device.state, one.running]).toEqual(['quiesced', false]);
  });

  it('is waited for by both while it is on its way', async () => {
    const one = await counter();
    using session = one.device.open({ name: 'vmm' });
    let stopped = (): void => undefined;
    one.quiescing = new Promise((resolve) => (stopped = resolve));
    const owner = one.device.quiesce();
    const client = session.setMigrationState(S.stop);
    await expect(one.device.quiesce()).rejects.toMatchObject({ code: 'EBUSY' });
    stopped();
    await Promise.all([owner, client]);
    one.device.resume();
    expect(one.device.state).toBe('quiesced');
    expect(() => {
      one.device.resume();
    }).toThrow('migrates it');
    await session.setMigrationState(S.running);
    expect([one.device.state, one.running]).toEqual(['running', true]);
  });

  it('stays paused for the one when the other has waited long enough', async () => {
    const one = await counter({ platform: { answersWithin: 20 } });
    using session = one.device.open({ name: 'vmm' });
    let stopped = (): void => undefined;
    one.quiescing = new Promise((resolve) => (stopped = resolve));
    const owner = one.device.quiesce();
    await expect(session.setMigrationState(S.stop)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    stopped();
    await owner;
    expect([one.device.state, one.running]).toEqual(['quiesced', false]);
    one.device.resume();
    expect([one.device.state, one.running]).toEqual(['running', true]);
  });

  it('is saved by its owner while it is paused, and keeps still while it is, whatever its client does', async () => {
    const one = await counter();
    const session = one.device.open({ name: 'vmm' });
    const { transfer } = one.device;
    await one.device.quiesce();
    await transfer?.suspend();
    one.device.resume();
    expect(one.running).toBe(false);
    session.sync.close();
    expect([one.device.state, one.running]).toEqual(['created', false]);
    expect((await transfer?.save())?.length).toBeGreaterThan(0);
    transfer?.resume();
    expect([one.device.state, one.running]).toEqual(['created', true]);
    one.device.open({ name: 'next' }).sync.close();
  });
});

describe('a frozen instance that is suspended', () => {
  it.each(['owner', 'client'])('is mended by a reset of its %s, and stays suspended', async (who) => {
    const one = await counter();
    const session = one.device.open({ name: 'vmm' });
    const { transfer } = one.device;
    one.device.error({ uncorrectable: 'poisonedTlp' });
    await transfer?.suspend();
    if (who === 'owner') one.device.reset();
    else session.sync.reset();
    expect([one.device.state, one.running]).toEqual(['quiesced', false]);
    expect(() => {
      one.device.resume();
    }).toThrow('suspended while it moves');
    expect((await transfer?.save())?.length).toBeGreaterThan(0);
    transfer?.resume();
    expect([one.device.state, one.running]).toEqual(['running', true]);
    session.sync.close();
  });

  it('stays so without a client, whoever comes, until it is let go', async () => {
    const one = await counter();
    const { transfer } = one.device;
    one.device.error({ uncorrectable: 'poisonedTlp' });
    await transfer?.suspend();
    for (const state of ['frozen', 'created']) {
      expect(() => one.device.open({ name: 'next' })).toThrow(expect.objectContaining({ code: 'EBUSY' }));
      expect([one.device.state, one.running]).toEqual([state, false]);
      one.device.reset();
    }
    transfer?.resume();
    one.device.open({ name: 'next' }).sync.close();
    expect([one.device.state, one.running]).toEqual(['created', true]);
  });

  it("is nobody's any more when another one goes on with its client", async () => {
    const one = await counter();
    one.device.open({ name: 'vmm' });
    one.device.error({ uncorrectable: 'poisonedTlp' });
    await one.device.transfer?.suspend();
    one.device.transfer?.abandon();
    for (const state of ['frozen', 'created']) {
      expect(() => one.device.open({ name: 'next' })).toThrow(/suspended by its owner/);
      expect([one.device.state, one.running, one.device.attachment]).toEqual([state, false, undefined]);
      one.device.reset();
    }
  });
});

describe('a pause that comes too late', () => {
  it('is over even if it comes in the same turn as the end of the wait', async () => {
    vi.useFakeTimers();
    const log: string[] = [];
    let paused = (): void => undefined;
    const quiesce = (): Promise<void> =>
      new Promise<void>((resolve) => {
        paused = resolve;
      });
    const device = await plainMigratable({}, {}, quiesce, () => log.push('resume'));
    using session = device.open({ name: 'vmm' });
    expect(session.sync).toBeDefined();
    const late = device.quiesce(50).catch((error: unknown) => error);
    vi.advanceTimersByTime(50);
    // Nothing has run since the timer.
    paused();
    expect(await late).toMatchObject({ code: 'ETIMEDOUT' });
    expect([device.state, log]).toEqual(['running', ['resume']]);
  });
});
