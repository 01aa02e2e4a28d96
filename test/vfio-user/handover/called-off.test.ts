import { describe, expect, it } from 'vitest';

import type { MdevDevice } from '../../../src/mdev/index.ts';
import { eventfd } from '../../../src/vfio-user/index.ts';
import { At, type Counter } from '../../mdev/support/migratable.ts';
import { until } from '../support/bench.ts';
import { outcome, Relay } from './support.ts';

const CONFIG = 7;
const ALL_ONES = 0xffff_ffff;

/** Makes a counter stop no sooner than `end` is called. */
function slowly(of: Counter): { begun: boolean; readonly end: () => void } {
  let end = (): void => undefined;
  const stopping = new Promise<void>((resolve) => {
    end = resolve;
  });
  const slow = { begun: false, end };
  Object.defineProperty(of, 'quiescing', {
    configurable: true,
    get: () => {
      slow.begun = true;
      return stopping;
    },
  });
  return slow;
}

/** Resolves when an instance has failed. */
async function failed(device: MdevDevice): Promise<void> {
  await until(() => device.state === 'failed', 'the failure');
}

describe('a handover that is called off', () => {
  it('keeps its clients waiting no longer than it may, however long the device takes to stop', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const slow = slowly(relay.counter);
    const began = performance.now();
    const handover = outcome(relay.handOver({}, { within: 50 }));
    await until(() => slow.begun, 'the pause');
    const read = client.readRegister(CONFIG, 0, 2);
    // The device has not stopped, and does not.
    expect((await handover)?.message).toMatch(/not quiesced within/);
    expect(await read).toBe(0x1d0f);
    // Of the platform's 4,000.
    expect(performance.now() - began).toBeLessThan(3000);
    expect(relay.counter.running).toBe(true);
    slow.end();
    await until(() => relay.counter.running, 'the device going on');
  });

  it('keeps them waiting no longer, however long the vendor takes to save', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const began = performance.now();
    relay.counter.saving = new Promise(() => undefined);
    const handover = outcome(relay.handOver({}, { within: 50 }));
    const read = client.readRegister(CONFIG, 0, 2);
    expect((await handover)?.message).toMatch(/not saved within/);
    expect(await read).toBe(0x1d0f);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(relay.counter.running).toBe(true);
  });

  it("ends nobody else's pause", async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const { transfer } = relay.counter.device;
    await transfer?.suspend();
    expect(await outcome(relay.handOver())).toMatchObject({ code: 'ECANCELED' });
    expect(relay.counter.running).toBe(false);
    expect(relay.counter.device.state).toBe('quiesced');
    // What it is paused for can be done.
    expect((await transfer?.save())?.length).toBeGreaterThan(0);
    transfer?.resume();
    expect(relay.counter.running).toBe(true);
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it('lets clients go on with a device that cannot: it has failed', async () => {
    await using relay = await Relay.start({ cannotResume: true });
    const client = await relay.client();
    await expect(relay.handOver({ id: 'other' })).rejects.toThrow(/type/);
    expect(relay.counter.device.state).toBe('running');
    // The successor has taken all of it when it cannot put it in place.
    await expect(relay.handOver({ refuses: true })).rejects.toThrow(/refused by the vendor/);
    await failed(relay.counter.device);
    expect(await client.readRegister(CONFIG, 0, 4)).toBe(ALL_ONES);
    await client.close();
  });

  it('happens when its client leaves meanwhile', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const slow = slowly(relay.counter);
    const again = outcome(relay.handOver());
    await until(() => slow.begun, 'the pause');
    void client.close();
    await until(() => relay.server.client === undefined, 'the client going');
    slow.end();
    expect((await again)?.message).toMatch(/went/);
    const next = await relay.client();
    await relay.handOver();
    expect(await next.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });
});

describe('a successor whose device cannot go on', () => {
  it('has taken over all the same: its clients read all ones', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    const line = eventfd();
    await client.setIrqs({ index: 2, eventfds: [line.fd] });
    await relay.handOver({ cannotResume: true });
    await failed(relay.counter.device);
    expect(await client.readRegister(CONFIG, 0, 4)).toBe(ALL_ONES);
    await client.close();
    await until(() => relay.server.client === undefined, 'the client going');
    line.close();
  });
});
