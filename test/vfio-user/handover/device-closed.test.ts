import { existsSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { HandoverKind } from '../../../src/vfio-user/handover/messages.ts';
import { connect } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { until } from '../support/bench.ts';
import { accepts, greets, isReady, type Part, Successor, takes } from './scripted-successor.ts';
import { outcome, Relay } from './support.ts';

const { go } = HandoverKind;

const STAGES: readonly (readonly [string, Part])[] = [
  ['prepares', greets],
  ['has the first chunk', accepts],
  ['has everything', takes],
  ['is ready', isReady],
  [
    'may begin',
    async (successor) => {
      await isReady(successor);
      expect(await successor.hears()).toBe(go);
    },
  ],
];

describe.each([true, false])('a device that is closed during a handover, with a client: %s', (held) => {
  it.each(STAGES)('whose successor %s: the server ends with the next client', async (_when, part) => {
    await using relay = await Relay.start();
    const client = held ? await relay.client() : undefined;
    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near, { within: 5000 }));
    const successor = new Successor(far);
    await part(successor);
    await relay.counter.device.close();
    successor.end();
    expect((await given)?.code).toBe('ECANCELED');
    await until(() => client?.isOpen !== true, 'the client going');
    // It takes clients again: the one that comes finds that there is nothing to be had, and so does the server.
    await expect(connect({ socketPath: relay.socketPath })).rejects.toThrow();
    await relay.server.closed;
    expect(existsSync(relay.socketPath)).toBe(false);
  });

  it.each([true, false])(
    'while it is decided who goes on, with others that wait, and the successor begins: %s',
    async (begins) => {
      await using relay = await Relay.start();
      if (held) await relay.client();
      const waiting = await connect({ socketPath: relay.socketPath }, { negotiate: false });
      const [near, far] = socketPair();
      const given = outcome(relay.server.handOver(near, { within: 5000 }));
      const successor = new Successor(far);
      await isReady(successor);
      expect(await successor.hears()).toBe(go);
      await relay.counter.device.close();
      if (begins) successor.say(HandoverKind.begun);
      else successor.end();
      expect((await given)?.code).toBe(begins ? undefined : 'ECANCELED');
      expect(relay.server.isHandedOver).toBe(begins);
      if (!begins) await expect(connect({ socketPath: relay.socketPath })).rejects.toThrow();
      await relay.server.closed;
      expect(existsSync(relay.socketPath)).toBe(begins);
      successor.end();
      await waiting.close();
    },
  );

  it('which has not stopped yet', async () => {
    await using relay = await Relay.start();
    const client = held ? await relay.client() : undefined;
    let isAsked = false;
    Object.defineProperty(relay.counter, 'quiescing', {
      get: () => {
        isAsked = true;
        return new Promise(() => undefined);
      },
    });
    const given = outcome(relay.handOver({}, { within: 100 }));
    await until(() => isAsked, 'the pause');
    await relay.counter.device.close();
    expect((await given)?.code).toMatch(/ECANCELED|ETIMEDOUT/);
    await until(() => client?.isOpen !== true, 'the client going');
    await expect(connect({ socketPath: relay.socketPath })).rejects.toThrow();
    await relay.server.closed;
  });
});
