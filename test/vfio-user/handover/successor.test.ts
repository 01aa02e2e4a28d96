import { describe, expect, it } from 'vitest';

import { HANDOVER_VERSION, HandoverKind } from '../../../src/vfio-user/handover/messages.ts';
import { eventfd, memoryFile } from '../../../src/vfio-user/index.ts';
import { connectSocket, socketPair } from '../../../src/vfio-user/native.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDmaMap,
  encodeMessage,
  encodeRegionAccess,
  encodeSetIrqs,
  joined,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { At, VECTORS } from '../../mdev/support/migratable.ts';
import { until } from '../support/bench.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { accepts, greets, isReady, type Part, Successor, takes } from './scripted-successor.ts';
import { outcome, Relay } from './support.ts';

const CONFIG = 7;
const MSIX = 2;
const { begun, go, hello, refuse } = HandoverKind;

const stages: readonly (readonly [string, Part])[] = [
  ['before it says anything', () => Promise.resolve()],
  ['behind its hello', greets],
  ['behind the first chunk', accepts],
  ['when it has everything', takes],
  ['when it is ready', isReady],
  [
    'behind the word to begin',
    async (successor) => {
      await isReady(successor);
      expect(await successor.hears()).toBe(go);
    },
  ],
  [
    'which refuses behind the word to begin',
    async (successor) => {
      await isReady(successor);
      expect(await successor.hears()).toBe(go);
      successor.say(refuse, { reason: 'changed its mind' });
      expect(await successor.hears()).toBe(refuse);
    },
  ],
  [
    'which does not begin',
    async (successor) => {
      await isReady(successor);
      expect(await successor.hears()).toBe(go);
      expect(await successor.hears()).toBe(refuse);
      // Too late: nobody hears it.
      successor.say(begun);
    },
  ],
  [
    'which counts wrong',
    async (successor) => {
      await accepts(successor);
      successor.confirm(1);
      expect(await successor.hears()).toBe(refuse);
    },
  ],
  [
    'which says what is not due',
    async (successor) => {
      await takes(successor);
      successor.say(go);
      expect(await successor.hears()).toBe(refuse);
    },
  ],
  [
    'which understands another version only',
    async (successor) => {
      successor.say(hello, { versions: [HANDOVER_VERSION + 1] });
      expect(await successor.hears()).toBe(refuse);
    },
  ],
  [
    'which talks nonsense',
    async (successor) => {
      successor.say(hello, new Uint8Array(1000).fill(0xff));
      expect(await successor.hears()).toBe(refuse);
    },
  ],
  [
    'which does not say that it is ready',
    async (successor) => {
      await takes(successor);
      expect(await successor.hears()).toBe(refuse);
    },
  ],
];

describe('a successor that dies', () => {
  it.each(stages)('%s: the server goes on, and another one takes over', async (_when, part) => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    await client.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
    const lines = Array.from({ length: VECTORS }, () => eventfd());
    await client.setIrqs({ index: MSIX, eventfds: lines.map(({ fd }) => fd) });
    const file = memoryFile(4096);
    await client.dmaMap({ iova: 0n, size: 4096n, file });

    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near, { within: 500 }));
    const successor = new Successor(far);
    await part(successor);
    // The client asks while nobody knows how it ends.
    const count = client.writeRegister(0, At.count, 4, 5);
    successor.end();
    expect(await given).toMatchObject({ name: 'HandoverError' });
    await count;
    expect(relay.counter.count).toBe(5);
    expect(relay.counter.running).toBe(true);
    await client.writeRegister(0, At.raise, 4, 2 + 1);
    expect(lines[1]?.read()).toBe(1);

    await relay.handOver();
    expect(relay.counter.count).toBe(5);
    await client.writeRegister(0, At.raise, 4, 2 + 1);
    expect(lines[1]?.read()).toBe(1);
    await relay.counter.context.dma.write(0n, Uint8Array.of(1));
    expect(new Uint8Array(file.buffer)[0]).toBe(1);
    for (const line of lines) line.close();
  });

  it('is never waited for longer than clients may be kept waiting', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near, { within: 100 }));
    const successor = new Successor(far);
    await accepts(successor);
    const read = client.readRegister(CONFIG, 0, 2);
    expect((await given)?.code).toBe('ETIMEDOUT');
    expect(await read).toBe(0x1d0f);
    successor.end();
  });
});

describe('a message that has arrived in part', () => {
  it('is completed in the next process, wherever it was cut, with its file descriptors', async () => {
    await using relay = await Relay.start();
    const peer = new RawPeer(connectSocket(relay.socketPath));
    const version = writeVersion({ major: 0, minor: 1, capabilities: { max_msg_fds: 16 } });
    await peer.ask({ command: Command.version }, version);
    const file = memoryFile(4096);
    const line = eventfd();
    const messages: readonly (readonly [Uint8Array, readonly number[]])[] = [
      [
        encodeMessage(
          { id: 1, command: Command.dmaMap },
          encodeDmaMap({ flags: 3, offset: 0n, address: 0n, size: 4096n }),
        ),
        [file.fd],
      ],
      [
        encodeMessage(
          { id: 2, command: Command.deviceSetIrqs },
          encodeSetIrqs({ flags: 4 | 32, index: MSIX, start: 0, count: 1 }),
        ),
        [line.fd],
      ],
      [
        encodeMessage(
          { id: 3, command: Command.regionWrite },
          joined(encodeRegionAccess({ offset: BigInt(At.command), region: CONFIG, count: 2 }), Uint8Array.of(6, 0)),
        ),
        [],
      ],
    ];
    for (const [message, fds] of messages) {
      for (const cut of [0, 1, 15, 16, 17, message.length - 1]) {
        // The first part with the descriptors, behind a whole message that is answered before.
        const whole = encodeMessage(
          { id: 9, command: Command.regionRead },
          encodeRegionAccess({ offset: 0n, region: CONFIG, count: 4 }),
        );
        peer.send(whole);
        if (cut > 0) peer.send(message.subarray(0, cut), fds);
        expect((await peer.next())?.header.id).toBe(9);
        await relay.handOver();
        peer.send(message.subarray(cut), cut === 0 ? fds : []);
        const answer = await peer.next();
        expect([answer?.header.id, answer?.header.errno]).toEqual([message[0], 0]);
      }
    }
    await relay.counter.context.dma.write(0n, Uint8Array.of(0x5a));
    expect(new Uint8Array(file.buffer)[0]).toBe(0x5a);
    peer.close();
    await until(() => relay.server.client === undefined, 'the client going');
    file.close();
    line.close();
  });
});
