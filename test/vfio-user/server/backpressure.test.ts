import { setTimeout as timeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDmaMap,
  encodeMessage,
  encodeRegionAccess,
  joined,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, settle, until } from '../support/bench.ts';
import { LARGE_REGION, Offset } from '../support/test-device.ts';

function read(id: number, count: number): Uint8Array {
  return encodeMessage(
    { id, command: Command.regionRead },
    encodeRegionAccess({ offset: 0n, region: LARGE_REGION, count }),
  );
}

/** The header of a message that ends the connection. */
function tooLong(id: number): Uint8Array {
  const header = encodeMessage({ id, command: Command.regionRead }, new Uint8Array());
  new DataView(header.buffer, header.byteOffset).setUint32(4, 0x7fff_ffff, true);
  return header;
}

describe('a client that does not read its replies', () => {
  it('is not read either, and gets every reply in order when it does', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    const count = 20_000;
    for (let id = 0; id < count; ++id) peer.send(read(id, 1000));
    await settle(300);
    const served = bench.device.core.statistics().reads;
    // The kernel's buffers and ours are full: this is far from all, and nothing goes on.
    expect(served).toBeLessThan(4_000);
    expect(peer.channel.pending()).toBeGreaterThan(0);
    await settle(300);
    expect(bench.device.core.statistics().reads).toBe(served);
    peer.channel.setPaused(false);
    for (let id = 0; id < count; ++id) {
      const reply = await peer.next();
      expect(reply?.header.id).toBe(id);
    }
  });

  it('does not keep others from their device', async () => {
    await using slow = new Bench();
    await using bench = new Bench();
    const peer = slow.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    for (let id = 0; id < 50; ++id) peer.send(read(id, 1 << 20));
    await settle(100);
    const client = await bench.client();
    await expect(client.info()).resolves.toBeDefined();
    // It goes away without having read anything.
    peer.close();
    await until(() => slow.device.holder === undefined, 'the end of the client');
    await expect((await slow.client()).info()).resolves.toBeDefined();
  });

  it('gets every reply that came before it broke the protocol, and then the end', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    const count = 250;
    for (let id = 0; id < count; ++id) peer.send(read(id, 1000));
    peer.send(tooLong(count));
    await until(() => bench.device.core.statistics().reads === count, 'all reads');
    await settle(50);
    peer.channel.setPaused(false);
    for (let id = 0; id < count; ++id) expect((await peer.next())?.header.id).toBe(id);
    await until(() => bench.device.holder === undefined, 'the end of the client');
  });

  it('goes without having read what it is owed when it breaks the protocol', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    for (let id = 0; id < 250; ++id) peer.send(read(id, 1000));
    peer.send(tooLong(1));
    await until(() => bench.device.core.statistics().reads === 250, 'all reads');
    peer.close();
    await until(() => bench.device.holder === undefined, 'the end of the client');
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('does not keep the device when it breaks the protocol and neither reads nor goes', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    for (let id = 0; id < 250; ++id) peer.send(read(id, 1000));
    peer.send(tooLong(1));
    await until(() => bench.device.holder === undefined, 'the end of the client');
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('is asked for nothing any more when it has broken the protocol', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    await peer.ask({ command: Command.dmaMap }, encodeDmaMap({ flags: 3, offset: 0n, address: 0n, size: 4096n }));
    peer.channel.setPaused(true);
    for (let id = 0; id < 250; ++id) peer.send(read(id, 1000));
    await until(() => bench.device.core.statistics().reads === 250, 'all reads');
    const asked = new Promise<number>((resolve) => {
      expect(bench.device.core.dmaTransfer(false, 0n, new Uint8Array(8), resolve)).toBe(0);
    });
    peer.send(tooLong(1));
    expect(await asked).not.toBe(0);
    expect(bench.device.holder).toBeDefined();
  });

  it('costs nothing while it does not', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    for (let id = 0; id < 20_000; ++id) peer.send(read(id, 1000));
    await settle(300);
    const before = process.cpuUsage();
    await timeout(400);
    const { user, system } = process.cpuUsage(before);
    // Microseconds. On a busy machine the wait is longer, not the work.
    expect(user + system).toBeLessThan(100_000);
    expect(peer.isOpen).toBe(true);
  });

  it('and goes away has posted what it has posted', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    peer.channel.setPaused(true);
    // A reply that is never read: the socket has an error once its other end is closed.
    peer.send(read(1, 8));
    await settle();
    let writes = 0;
    bench.device.onWrite = () => (writes += 1);
    const posted = encodeMessage(
      { id: 2, command: Command.regionWrite, flags: MessageFlag.noReply },
      encodeRegionAccess({ offset: BigInt(Offset.hooked), region: 0, count: 4 }, new Uint8Array(4)),
    );
    peer.send(joined(...Array.from({ length: 5000 }, () => posted)));
    await until(() => peer.channel.pending() === 0, 'sending');
    expect(writes).toBeLessThan(4000);
    peer.close();
    await until(() => bench.device.holder === undefined, 'the end of the client');
    expect(writes).toBe(5000);
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });
});

it('a stream that nobody reads ends when its other side hangs up', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  peer.channel.setPaused(true);
  await settle();
  await bench.server.close();
  expect(await peer.closed).toMatch(/closed the connection/);
});
