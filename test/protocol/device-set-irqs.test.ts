import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { eventfd, type EventFd, memoryFile } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { encodeSetIrqs, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { acmeDevice } from '../mdev/support/acme.ts';
import { Bench, openFiles, settle, until } from '../vfio-user/support/bench.ts';
import { ERR, MSIX, REQ } from '../vfio-user/support/test-device.ts';
import { ConfigClient } from './support/config-client.ts';

const NONE = 1;
const BOOL = 2;
const EVENTFD = 4;
const MASK = 8;
const UNMASK = 16;
const TRIGGER = 32;

/** The counter becomes `count` again when it is read. */
function fill(event: EventFd, count: number): void {
  for (let i = 0; i < count; ++i) event.signal();
}

function request(flags: number, index: number, start: number, count: number, data = new Uint8Array(0)): Uint8Array {
  return encodeSetIrqs({ flags, index, start, count }, data);
}

describe('SET_IRQS', () => {
  it.each([
    ['R5, S1: no body', new Uint8Array(0)],
    ['S2: 8 bytes', words(20, TRIGGER | NONE)],
    ['one byte short', request(TRIGGER | NONE, MSIX, 0, 0).subarray(0, 19)],
    ['S3: argsz 3', words(3, TRIGGER | NONE, MSIX, 0, 0)],
    ['S4: index 5', request(TRIGGER | NONE, 5, 0, 1)],
    ['S5: mask and unmask', request(MASK | UNMASK | NONE, MSIX, 0, 1)],
    ['no action', request(NONE, MSIX, 0, 1)],
    ['S6: none and bool', request(TRIGGER | NONE | BOOL, MSIX, 0, 1, new Uint8Array(1))],
    ['no kind of data', request(TRIGGER, MSIX, 0, 1)],
    ['S7: vectors beyond the end', request(TRIGGER | NONE, MSIX, 2047, 2)],
    ['S8: a start beyond the end', request(TRIGGER | NONE, MSIX, 2049, 1)],
    ['S9: a range that wraps', request(TRIGGER | NONE, MSIX, 284, 0xffff_ffff)],
    ['S10: masking ERR', request(MASK | NONE, ERR, 0, 1)],
    ['S11: masking REQ', request(MASK | NONE, REQ, 0, 1)],
    ['S12: two vectors of ERR', request(TRIGGER | NONE, ERR, 0, 2)],
    ['S13: two vectors of REQ', request(TRIGGER | NONE, REQ, 0, 2)],
    ['S14: masking nothing from 1 on', request(MASK | NONE, MSIX, 1, 0)],
    ['S15: masking nothing', request(MASK | NONE, MSIX, 0, 0)],
    ['S16: triggering no booleans', request(TRIGGER | BOOL, MSIX, 0, 0)],
    ['S24: two booleans in one byte', request(TRIGGER | BOOL, MSIX, 0, 2, new Uint8Array(1))],
    ['S25: two booleans in three bytes', request(TRIGGER | BOOL, MSIX, 0, 2, new Uint8Array(3))],
    ['unknown flags', request(TRIGGER | NONE | 0x40, MSIX, 0, 1)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(channelOf(client).request(Command.deviceSetIrqs, body)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it.each([
    ['S17: BOOL', request(TRIGGER | BOOL, MSIX, 0, 1, new Uint8Array(1)), 1],
    ['S18: NONE', request(TRIGGER | NONE, MSIX, 0, 1), 1],
    ['S19: more vectors than fds', request(TRIGGER | EVENTFD, MSIX, 0, 2), 1],
    ['fewer vectors than fds', request(TRIGGER | EVENTFD, MSIX, 0, 1), 2],
    ['R6: a refused message', words(20), 2],
    ['as many fds as Linux delivers, and one vector less', request(TRIGGER | EVENTFD, MSIX, 0, 252), 253],
  ])('refuses and closes fds that come with %s', async (_what, body, count) => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = Array.from({ length: count }, () => eventfd());
    await settle();
    const before = openFiles();
    const fds = events.map(({ fd }) => fd);
    await expect(channelOf(client).request(Command.deviceSetIrqs, body, fds)).rejects.toMatchObject({ code: 'EINVAL' });
    await settle();
    expect(openFiles()).toBe(before);
    for (const event of events) event.close();
  });

  it('takes as many eventfds as Linux delivers with one message, as Cloud Hypervisor sends them', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = Array.from({ length: 253 }, () => eventfd());
    const fds = events.map(({ fd }) => fd);
    // Whatever max_msg_fds says, which that client does not read.
    expect(client.version?.capabilities.max_msg_fds).toBe(16);
    await channelOf(client).request(Command.deviceSetIrqs, request(TRIGGER | EVENTFD, MSIX, 3, 253), fds);
    for (const vector of [3, 20, 255]) bench.device.core.triggerIrq(MSIX, vector);
    expect(events.flatMap((event, index) => (event.read() === 0 ? [] : [index]))).toEqual([0, 17, 252]);
    for (const event of events) event.close();
  });

  it('takes eventfds only', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const file = memoryFile(4096);
    await expect(client.setIrqs({ index: MSIX, eventfds: [file.fd] })).rejects.toMatchObject({ code: 'EINVAL' });
    file.close();
  });

  it('S22, S23: assigns, replaces and removes the eventfd of a vector', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const [first, second] = [eventfd(), eventfd()];
    await client.setIrqs({ index: MSIX, start: 8, eventfds: [first.fd] });
    fill(first, 4);
    bench.device.core.triggerIrq(MSIX, 8);
    expect(first.read()).toBe(5);
    await client.setIrqs({ index: MSIX, start: 8, eventfds: [second.fd] });
    bench.device.core.triggerIrq(MSIX, 8);
    expect([first.read(), second.read()]).toEqual([0, 1]);
    await client.setIrqs({ index: MSIX, start: 8, count: 1, eventfds: [] });
    bench.device.core.triggerIrq(MSIX, 8);
    expect([first.read(), second.read()]).toEqual([0, 0]);
    // What fired meanwhile was latched.
    await client.setIrqs({ index: MSIX, start: 8, eventfds: [first.fd] });
    expect(first.read()).toBe(1);
    for (const event of [first, second]) event.close();
  });

  it('S26, S27: fires ranges and booleans', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = [eventfd(), eventfd()] as const;
    const [one, two] = events;
    await client.setIrqs({ index: MSIX, eventfds: [one.fd, two.fd] });
    fill(one, 4);
    fill(two, 8);
    await client.setIrqs({ index: MSIX, start: 1, count: 1 });
    expect([one.read(), two.read()]).toEqual([4, 9]);
    fill(one, 4);
    fill(two, 8);
    await client.setIrqs({ index: MSIX, booleans: [false, true] });
    expect([one.read(), two.read()]).toEqual([4, 9]);
    for (const event of events) event.close();
  });

  it('disables a sub-range, and an index without touching another', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = Array.from({ length: 4 }, () => eventfd());
    const request1 = eventfd();
    await client.setIrqs({ index: MSIX, eventfds: events.map(({ fd }) => fd) });
    await client.setIrqs({ index: REQ, eventfds: [request1.fd] });
    await client.setIrqs({ index: MSIX, start: 2, count: 1, eventfds: [] });
    for (let vector = 0; vector < 4; ++vector) bench.device.core.triggerIrq(MSIX, vector);
    expect(events.map((event) => event.read())).toEqual([1, 1, 0, 1]);
    await client.setIrqs({ index: REQ, count: 0 });
    bench.device.core.triggerIrq(REQ, 0);
    bench.device.core.triggerIrq(MSIX, 0);
    expect([request1.read(), events[0]?.read()]).toEqual([0, 1]);
    await client.setIrqs({ index: MSIX, count: 0 });
    for (let vector = 0; vector < 4; ++vector) bench.device.core.triggerIrq(MSIX, vector);
    expect(events.map((event) => event.read())).toEqual([0, 0, 0, 0]);
    for (const event of [...events, request1]) event.close();
  });

  it('loses nothing that is raised between "all off" and the next eventfds', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = [eventfd(), eventfd()] as const;
    const [one, two] = events;
    await client.setIrqs({ index: MSIX, eventfds: [one.fd, two.fd] });
    await client.setIrqs({ index: MSIX, count: 0 });
    bench.device.core.triggerIrq(MSIX, 1);
    bench.device.core.triggerIrq(MSIX, 1);
    expect([one.read(), two.read()]).toEqual([0, 0]);
    await client.setIrqs({ index: MSIX, eventfds: [one.fd, two.fd] });
    expect([one.read(), two.read()]).toEqual([0, 1]);
    // A reset forgets it.
    await client.setIrqs({ index: MSIX, count: 0 });
    bench.device.core.triggerIrq(MSIX, 1);
    bench.device.core.resetIrqs(MSIX);
    await client.setIrqs({ index: MSIX, eventfds: [one.fd, two.fd] });
    expect([one.read(), two.read()]).toEqual([0, 0]);
    for (const event of events) event.close();
  });

  it('S20, S21: takes the REQ eventfd away when it is not there', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await client.setIrqs({ index: REQ, count: 0 });
    await client.setIrqs({ index: REQ, count: 1, eventfds: [] });
  });

  it('takes all vectors in messages of as many fds as were agreed', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const events = Array.from({ length: 100 }, () => eventfd());
    await client.setIrqs({ index: MSIX, start: 7, eventfds: events.map(({ fd }) => fd) });
    for (let vector = 7; vector < 107; ++vector) bench.device.core.triggerIrq(MSIX, vector);
    expect(events.map((event) => event.read())).toEqual(events.map(() => 1));
    for (const event of events) event.close();
  });

  it('lets go of every eventfd when the client is gone, and keeps what was latched', async () => {
    await using bench = new Bench();
    const event = eventfd();
    await settle();
    const before = openFiles();
    const client = await bench.client();
    await client.setIrqs({ index: MSIX, eventfds: [event.fd] });
    await client.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    bench.device.core.triggerIrq(MSIX, 0);
    expect(event.read()).toBe(0);
    const next = await bench.client();
    await next.setIrqs({ index: MSIX, eventfds: [event.fd] });
    expect(event.read()).toBe(1);
    event.close();
  });

  it.each([
    ['INTx without a pin', 0],
    ['MSI without its capability', 1],
  ])('%s has no vectors: everything off succeeds, and nothing else', async (_what, index) => {
    await using client = await ConfigClient.of(await acmeDevice());
    const event = eventfd();
    const set = async (flags: number, start: number, count: number, fds: readonly number[] = []): Promise<number> => {
      const body = encodeSetIrqs({ flags, index, start, count });
      return (await client.peer.ask({ command: Command.deviceSetIrqs }, body, fds))?.header.errno ?? -1;
    };
    expect(await set(0x21, 0, 0)).toBe(0);
    expect(await set(0x24, 0, 1, [event.fd])).toBe(constants.errno.EINVAL);
    for (const flags of [0x09, 0x0c, 0x11, 0x14, 0x21, 0x24]) {
      for (const start of [0, 1]) expect(await set(flags, start, 1)).toBe(constants.errno.EINVAL);
    }
    event.close();
  });
});
