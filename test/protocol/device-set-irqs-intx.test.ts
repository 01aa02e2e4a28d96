import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { eventfd, type EventFd, memoryFile } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { encodeSetIrqs } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from '../vfio-user/support/bench.ts';
import { INTX } from '../vfio-user/support/test-device.ts';

const MASK_NONE = 0x09;
const UNMASK_NONE = 0x11;
const TRIGGER_NONE = 0x21;
const UNMASK_EVENTFD = 0x14;
const TRIGGER_EVENTFD = 0x24;

/** A client whose INTx is enabled. */
class IntxClient implements AsyncDisposable {
  readonly bench = new Bench();
  readonly line: EventFd = eventfd();
  readonly #client = this.bench.client();

  static async enabled(): Promise<IntxClient> {
    const made = new IntxClient();
    await made.set(TRIGGER_EVENTFD, [made.line.fd]);
    return made;
  }

  get core() {
    return this.bench.device.core;
  }

  async set(flags: number, fds: readonly number[] = [], count = 1): Promise<void> {
    const channel = channelOf(await this.#client);
    await channel.request(Command.deviceSetIrqs, encodeSetIrqs({ flags, index: INTX, start: 0, count }), fds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
    this.line.close();
  }
}

describe('SET_IRQS of INTx', () => {
  it('fires once, and again when it is unmasked and still asserted', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    core.setIntxAsserted(true);
    expect(line.read()).toBe(1);
    await client.set(UNMASK_NONE);
    expect(line.read()).toBe(1);
    core.setIntxAsserted(false);
    await client.set(UNMASK_NONE);
    expect(line.read()).toBe(0);
    core.setIntxAsserted(true);
    expect(line.read()).toBe(1);
  });

  it('does not storm a client that never services it', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    for (let i = 0; i < 1000; ++i) {
      core.setIntxAsserted(i % 3 !== 0);
      core.setIntxAsserted(true);
    }
    await settle();
    expect(line.read()).toBe(1);
    // Masked and unmasked without end, it fires once for each unmasking.
    for (let i = 0; i < 100; ++i) {
      await client.set(MASK_NONE);
      await client.set(UNMASK_NONE);
    }
    expect(line.read()).toBe(100);
  });

  it('is a level: what was deasserted while it was masked does not fire', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    await client.set(MASK_NONE);
    core.setIntxAsserted(true);
    core.setIntxAsserted(false);
    await client.set(UNMASK_NONE);
    expect(line.read()).toBe(0);
    // Asserted before anybody listens, it fires when somebody does.
    await client.set(TRIGGER_NONE, [], 0);
    core.setIntxAsserted(true);
    await client.set(TRIGGER_EVENTFD, [line.fd]);
    expect(line.read()).toBe(1);
  });

  it('a reset deasserts it, and keeps eventfds', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    core.setIntxAsserted(true);
    expect(line.read()).toBe(1);
    core.resetIrqs(INTX);
    expect(core.intxAsserted()).toBe(false);
    await client.set(UNMASK_NONE);
    expect(line.read()).toBe(0);
    core.setIntxAsserted(true);
    expect(line.read()).toBe(1);
  });

  it('DisINTx keeps it back, also from loopback', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    core.setIntxDisabled(true);
    core.setIntxAsserted(true);
    await client.set(TRIGGER_NONE);
    await client.set(UNMASK_NONE);
    expect([line.read(), core.intxAsserted()]).toEqual([0, true]);
    core.setIntxDisabled(false);
    expect(line.read()).toBe(1);
    await client.set(TRIGGER_NONE);
    expect(line.read()).toBe(1);
  });

  it('is unmasked by an eventfd', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    const unmask = eventfd();
    // Signalled before it is given: that counts, and does no harm.
    unmask.signal();
    await client.set(UNMASK_EVENTFD, [unmask.fd]);
    await until(() => unmask.read() === 0, 'emptying the counter');
    core.setIntxAsserted(true);
    for (let round = 0; round < 5; ++round) {
      expect(line.read()).toBe(1);
      unmask.signal();
      await until(() => client.core.intxAsserted() && line.read() === 1, 'firing again');
      unmask.signal();
      await until(() => line.read() === 1, 'firing once more');
      core.setIntxAsserted(false);
      unmask.signal();
      await settle();
      expect(line.read()).toBe(0);
      core.setIntxAsserted(true);
    }
    // Taken away, it does nothing any more.
    await client.set(UNMASK_EVENTFD);
    line.read();
    unmask.signal();
    await settle();
    expect(line.read()).toBe(0);
    await client.set(UNMASK_NONE);
    expect(line.read()).toBe(1);
    unmask.close();
  });

  it('takes another eventfd in place of the one that unmasks it, and refuses what is none', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    const [first, second, file] = [eventfd(), eventfd(), memoryFile(4096)] as const;
    await client.set(UNMASK_EVENTFD, [first.fd]);
    await expect(client.set(UNMASK_EVENTFD, [file.fd])).rejects.toMatchObject({ code: 'EINVAL' });
    core.setIntxAsserted(true);
    expect(line.read()).toBe(1);
    first.signal();
    await until(() => line.read() === 1, 'firing again');
    await client.set(UNMASK_EVENTFD, [second.fd]);
    first.signal();
    await settle();
    expect(line.read()).toBe(0);
    second.signal();
    await until(() => line.read() === 1, 'firing again');
    for (const thing of [first, second, file]) thing.close();
  });

  it('serves others while a client signals without end', async () => {
    await using client = await IntxClient.enabled();
    const { core, line } = client;
    const unmask = eventfd();
    await client.set(UNMASK_EVENTFD, [unmask.fd]);
    core.setIntxAsserted(true);
    let turns = 0;
    const hostile = setInterval(() => {
      unmask.signal();
    }, 0);
    try {
      for (; turns < 500; ++turns) {
        for (let i = 0; i < 50; ++i) unmask.signal();
        await turn();
      }
      await client.set(MASK_NONE);
    } finally {
      clearInterval(hostile);
    }
    // A signal is one event, however many were folded into it: about one interrupt for each turn of the loop.
    expect(line.read()).toBeLessThan(4 * turns);
    unmask.close();
  });

  it('lets go of both eventfds when INTx is disabled, and when the client is gone', async () => {
    const [line, unmask] = [eventfd(), eventfd()] as const;
    await using bench = new Bench();
    const body = (flags: number, count = 1): Uint8Array => encodeSetIrqs({ flags, index: INTX, start: 0, count });
    await settle();
    const before = openFiles();
    const client = await bench.client();
    await channelOf(client).request(Command.deviceSetIrqs, body(TRIGGER_EVENTFD), [line.fd]);
    const enabled = openFiles();
    await channelOf(client).request(Command.deviceSetIrqs, body(UNMASK_EVENTFD), [unmask.fd]);
    expect(openFiles()).toBeGreaterThan(enabled);
    await channelOf(client).request(Command.deviceSetIrqs, body(TRIGGER_NONE, 0));
    await until(() => openFiles() === enabled - 1, 'closing both');
    await channelOf(client).request(Command.deviceSetIrqs, body(TRIGGER_EVENTFD), [line.fd]);
    await channelOf(client).request(Command.deviceSetIrqs, body(UNMASK_EVENTFD), [unmask.fd]);
    await client.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    bench.device.core.setIntxAsserted(true);
    unmask.signal();
    await settle();
    expect(line.read()).toBe(0);
    for (const event of [line, unmask]) event.close();
  });
});
