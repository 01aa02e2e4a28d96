import { existsSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { MdevDevice } from '../../../src/mdev/index.ts';
import { HandoverKind } from '../../../src/vfio-user/handover/messages.ts';
import { connect, eventfd, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { At, type Counter } from '../../mdev/support/migratable.ts';
import { until } from '../support/bench.ts';
import { greets, isReady, Successor, takes } from './scripted-successor.ts';
import { outcome, Relay } from './support.ts';

const { begun, go, ready } = HandoverKind;
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

/** Lets everybody in this process hear what has happened. */
async function turns(): Promise<void> {
  for (let left = 50; left > 0; left--) await turn();
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

  it('happens when its owner has quiesced the device: the successor would let it run', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await relay.counter.device.quiesce();
    expect(await outcome(relay.handOver())).toMatchObject({
      code: 'ECANCELED',
      message: expect.stringContaining('quiesced by its owner') as string,
    });
    expect([relay.counter.device.state, relay.counter.running]).toEqual(['quiesced', false]);
    relay.counter.device.resume();
    await relay.handOver();
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

describe('clients that do not hold the device', () => {
  it('come along, and negotiate with the successor', async () => {
    await using relay = await Relay.start();
    const waiting = await connect({ socketPath: relay.socketPath }, { negotiate: false });
    await relay.handOver();
    await waiting.negotiate();
    expect(await waiting.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
    await waiting.close();
  });

  it('may leave while everything stands still', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const waiting = await connect({ socketPath: relay.socketPath }, { negotiate: false });
    const slow = slowly(relay.counter);
    const handover = relay.handOver();
    await until(() => slow.begun, 'the pause');
    await waiting.close();
    await turns();
    slow.end();
    await handover;
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it('may leave while they are sent', async () => {
    await using relay = await Relay.start();
    await relay.client();
    const waiting = await connect({ socketPath: relay.socketPath }, { negotiate: false });
    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near));
    const successor = new Successor(far);
    await takes(successor);
    await waiting.close();
    await turns();
    successor.say(ready);
    expect(await successor.hears()).toBe(go);
    successor.say(begun);
    expect(await given).toBe(undefined);
    successor.end();
  });
});

describe('a server that is closed while its successor prepares', () => {
  it.each([
    ['says nothing', () => Promise.resolve()],
    ['has heard what there is', greets],
  ])('hands over nothing: one that %s', async (_, part) => {
    await using relay = await Relay.start();
    const [near, far] = socketPair();
    // A test does not last as long as the successor may take to prepare: nobody waits for the end of that time.
    const given = outcome(relay.server.handOver(near, { prepareWithin: 600_000 }));
    const successor = new Successor(far);
    await part(successor);
    await relay.server.close();
    expect(await given).toMatchObject({ code: 'ECANCELED', message: 'the server was closed' });
    expect(await successor.hears()).toBe(HandoverKind.refuse);
    successor.end();
    expect(relay.counter.running).toBe(true);
    relay.server = serve(relay.counter.device, { socketPath: relay.socketPath });
    const client = await relay.client();
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });
});

describe('a server that is closed while it is decided who goes on', () => {
  /** A handover whose successor has the word. */
  async function deciding(
    relay: Relay,
  ): Promise<{ readonly given: ReturnType<typeof outcome>; readonly successor: Successor }> {
    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near));
    const successor = new Successor(far);
    await isReady(successor);
    expect(await successor.hears()).toBe(go);
    return { given, successor };
  }

  it('leaves clients and path to a successor that begins', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    let left = false;
    void client.closed.then(() => {
      left = true;
    });
    const { given, successor } = await deciding(relay);
    const closed = relay.server.close();
    await turns();
    successor.say(begun);
    expect(await given).toBe(undefined);
    await closed;
    expect(relay.server.isHandedOver).toBe(true);
    expect([existsSync(relay.socketPath), left]).toEqual([true, false]);
    successor.end();
  });

  it('is closed when its successor does not', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const { given, successor } = await deciding(relay);
    const closed = relay.server.close();
    await turns();
    expect(relay.server.isClosed).toBe(false);
    successor.end();
    expect(await given).toMatchObject({ code: 'ECANCELED' });
    await closed;
    expect(relay.server.isHandedOver).toBe(false);
    await expect(client.readRegister(CONFIG, 0, 2)).rejects.toThrow();
    expect(existsSync(relay.socketPath)).toBe(false);
  });
});
