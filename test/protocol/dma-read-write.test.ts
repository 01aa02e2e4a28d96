import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { type Client } from '../../src/vfio-user/index.ts';
import { Command, MessageFlag } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeDmaAccess,
  encodeDmaAccess,
  encodeMessage,
  joined,
  longs,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench, settle } from '../vfio-user/support/bench.ts';
import { type RawPeer, type Received } from '../vfio-user/support/raw-peer.ts';
import type { TestDevice } from '../vfio-user/support/test-device.ts';

const { ECANCELED, EFAULT } = constants.errno;

/** What a transfer of the device ended with. */
interface Transfer {
  readonly buffer: Uint8Array;
  readonly ended: Promise<number>;
  errno: number | undefined;
}

function transfer(device: TestDevice, write: boolean, address: bigint, buffer: Uint8Array): Transfer {
  let resolve = (_errno: number): void => undefined;
  const ended = new Promise<number>((settled) => {
    resolve = settled;
  });
  const started: Transfer = { buffer, ended, errno: undefined };
  const errno = device.core.dmaTransfer(write, address, buffer, (result) => {
    if (started.errno !== undefined) throw new Error('a transfer ended twice');
    started.errno = result;
    resolve(result);
  });
  if (errno !== 0) throw new Error(`the transfer did not start: ${errno}`);
  return started;
}

/** A client of 64 KiB of memory without a file at 0x100000. */
async function clientWithMemory(bench: Bench, maxTransfer = 1 << 20): Promise<{ client: Client; memory: Uint8Array }> {
  const client = await bench.connect();
  await client.negotiate({ capabilities: { max_data_xfer_size: maxTransfer } });
  const memory = Uint8Array.from({ length: 0x10000 }, (_, index) => index * 13);
  await client.dmaMap({ iova: 0x10_0000n, memory });
  return { client, memory };
}

/** A peer that has mapped 64 KiB at 0, and answers by hand. */
async function peerWithMemory(bench: Bench, capabilities = {}): Promise<RawPeer> {
  const peer = bench.peer();
  await peer.ask({ command: Command.version }, writeVersion({ major: 0, minor: 0, capabilities }));
  await peer.ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, 0n, 0x10000n)));
  return peer;
}

function answer(request: Received | undefined, data = new Uint8Array(0)): Uint8Array {
  if (request === undefined) throw new Error('no request');
  const access = decodeDmaAccess(request.body);
  if (access === undefined) throw new Error('a request without a body');
  return encodeMessage(header(request), encodeDmaAccess(access, data));
}

describe('DMA_READ and DMA_WRITE', () => {
  it('move memory that has no file', async () => {
    await using bench = new Bench();
    const { memory } = await clientWithMemory(bench);
    const read = transfer(bench.device, false, 0x10_0123n, new Uint8Array(1000));
    expect(await read.ended).toBe(0);
    expect(read.buffer).toEqual(memory.slice(0x123, 0x123 + 1000));
    const data = Uint8Array.from({ length: 0x10000 }, (_, index) => index ^ 0x5a);
    expect(await transfer(bench.device, true, 0x10_0000n, data).ended).toBe(0);
    expect(memory).toEqual(data);
  });

  it('are split as the client wants it, and no more than 16 are under way', async () => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench, { max_data_xfer_size: 1000 });
    const moved = transfer(bench.device, false, 0x10n, new Uint8Array(0x5000));
    const ids = new Set<number>();
    let next = 0x10;
    let most = 0;
    while (moved.errno === undefined) {
      await settle();
      most = Math.max(most, peer.received.length);
      const request = await peer.next();
      const access = decodeDmaAccess(request?.body ?? new Uint8Array(0));
      expect(request?.header).toMatchObject({ command: Command.dmaRead, flags: 0, errno: 0, size: 32 });
      expect(Number(access?.address)).toBe(next);
      const count = Number(access?.count);
      expect(count).toBe(Math.min(1000, 0x5010 - next));
      ids.add(request?.header.id ?? -1);
      peer.send(answer(request, new Uint8Array(count).fill(next >> 4)));
      next += count;
      await settle(2);
    }
    expect(most).toBe(16);
    expect(await moved.ended).toBe(0);
    expect(moved.buffer[1000]).toBe(((0x10 + 1000) >> 4) & 0xff);
  });

  it('are asked for while the client waits for something else, and answered in any order', async () => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench);
    const first = transfer(bench.device, false, 0n, new Uint8Array(8));
    const second = transfer(bench.device, true, 64n, new Uint8Array(8).fill(7));
    const requests = [await peer.next(), await peer.next()];
    expect(requests.map((request) => request?.header.command)).toEqual([Command.dmaRead, Command.dmaWrite]);
    expect(requests[1]?.body.subarray(16)).toEqual(new Uint8Array(8).fill(7));
    expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
    peer.send(answer(requests[1]));
    expect(await second.ended).toBe(0);
    peer.send(answer(requests[0], new Uint8Array(8).fill(9)));
    expect(await first.ended).toBe(0);
    expect(first.buffer).toEqual(new Uint8Array(8).fill(9));
  });

  it('that the client refuses fail with EFAULT, and the connection goes on', async () => {
    await using bench = new Bench();
    const { client } = await clientWithMemory(bench);
    expect(await transfer(bench.device, false, 0x20_0000n, new Uint8Array(8)).ended).toBe(EFAULT);
    await expect(client.info()).resolves.toBeDefined();
  });

  it.each<[string, (request: Received) => Uint8Array]>([
    ['another id', (request) => encodeMessage({ ...header(request), id: request.header.id + 1 }, body(request, 8))],
    [
      'another command',
      (request) => encodeMessage({ ...header(request), command: Command.dmaWrite }, body(request, 8)),
    ],
    ['another address', (request) => encodeMessage(header(request), joined(longs(1n, 8n), new Uint8Array(8)))],
    ['another count', (request) => encodeMessage(header(request), joined(longs(0n, 7n), new Uint8Array(8)))],
    ['too little', (request) => encodeMessage(header(request), body(request, 7))],
    ['too much', (request) => encodeMessage(header(request), body(request, 9))],
    ['12 bytes', (request) => encodeMessage(header(request), new Uint8Array(12))],
  ])('that are answered with %s end the connection, with a reason', async (_what, wrong) => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench);
    const moved = transfer(bench.device, false, 0n, new Uint8Array(8));
    const request = await peer.next();
    if (request === undefined) throw new Error('no request');
    peer.send(wrong(request));
    await peer.closed;
    expect([ECANCELED, EFAULT]).toContain(await moved.ended);
    expect(bench.disconnections).toHaveLength(1);
    expect(bench.disconnections[0]).toMatch(/^the client/);
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('that are unmapped end, and their late replies are dropped', async () => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench);
    const moved = transfer(bench.device, false, 0x2000n, new Uint8Array(0x1000));
    const request = await peer.next();
    const unmap = joined(words(24, 0), longs(0n, 0x10000n));
    expect((await peer.ask({ command: Command.dmaUnmap }, unmap))?.header.errno).toBe(0);
    expect(await moved.ended).toBe(ECANCELED);
    peer.send(answer(request, new Uint8Array(0x1000).fill(1)));
    expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
    expect(moved.buffer.every((byte) => byte === 0)).toBe(true);
    // Once.
    peer.send(answer(request, new Uint8Array(0x1000)));
    await peer.closed;
  });

  it('end when the client is gone, those that wait for their turn too', async () => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench);
    const moves = Array.from({ length: 100 }, (_, index) =>
      transfer(bench.device, index % 2 === 0, BigInt(index) * 8n, new Uint8Array(512)),
    );
    await peer.next();
    peer.close();
    expect(await Promise.all(moves.map(({ ended }) => ended))).toEqual(moves.map(() => ECANCELED));
    expect(bench.device.core.dmaTransfer(false, 0n, new Uint8Array(8), () => undefined)).not.toBe(0);
  });

  it('that are never answered do not keep the client’s requests waiting', async () => {
    await using bench = new Bench();
    const peer = await peerWithMemory(bench);
    const moves = Array.from({ length: 200 }, () => transfer(bench.device, true, 0n, new Uint8Array(0x10000)));
    for (let i = 0; i < 100; ++i) {
      peer.send(encodeMessage({ id: i, command: Command.deviceGetInfo }, words(16, 0, 0, 0)));
    }
    const replies: number[] = [];
    while (replies.length < 100) {
      const message = await peer.next();
      if (message?.header.flags === MessageFlag.reply) replies.push(message.header.id);
    }
    expect(replies).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(moves.filter(({ errno }) => errno !== undefined)).toEqual([]);
  });

  it('read and write at random, in every size, equal to a copy', async () => {
    await using bench = new Bench();
    const { memory } = await clientWithMemory(bench, 777);
    const model = memory.slice();
    let seed = 1;
    const below = (bound: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return seed % bound;
    };
    for (let i = 0; i < 100; ++i) {
      const count = 1 + below(0x4000);
      const offset = below(0x10000 - count);
      const isWrite = below(2) === 0;
      const buffer = Uint8Array.from({ length: count }, () => below(256));
      if (isWrite) model.set(buffer, offset);
      expect(await transfer(bench.device, isWrite, 0x10_0000n + BigInt(offset), buffer).ended).toBe(0);
      if (!isWrite) expect(buffer).toEqual(model.slice(offset, offset + count));
    }
    expect(memory).toEqual(model);
  });
});

function header(request: Received): { id: number; command: number; flags: number } {
  return { id: request.header.id, command: request.header.command, flags: 1 };
}

function body(request: Received, size: number): Uint8Array {
  return joined(request.body.subarray(0, 16), new Uint8Array(size));
}
