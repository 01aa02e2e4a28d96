import { describe, expect, it } from 'vitest';

import { Command, MessageFlag } from '../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, joined, longs, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { readVersion, writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import type { RawPeer } from '../vfio-user/support/raw-peer.ts';
import { CONFIG_REGION, Offset, ONES_REGION } from '../vfio-user/support/test-device.ts';

interface Write {
  readonly offset: bigint;
  readonly region?: number;
  readonly count?: number;
  readonly data?: bigint;
}

function entry({ offset, region = 0, count = 4, data = 0n }: Write): Uint8Array {
  return joined(longs(offset), words(region, count), longs(data));
}

function request(...writes: Write[]): Uint8Array {
  return joined(longs(BigInt(writes.length)), ...writes.map(entry));
}

/** A client that was granted REGION_WRITE_MULTI. */
async function granted(bench: Bench): Promise<RawPeer> {
  const peer = bench.peer();
  const offer = writeVersion({ major: 0, minor: 0, capabilities: { write_multiple: true } });
  const answer = await peer.ask({ command: Command.version }, offer);
  expect(readVersion(answer?.body ?? new Uint8Array(0))).toMatchObject({ capabilities: { write_multiple: true } });
  return peer;
}

async function ask(peer: RawPeer, body: Uint8Array): Promise<{ errno: number | undefined; done: bigint | undefined }> {
  const reply = await peer.ask({ command: Command.regionWriteMultiple }, body);
  const done =
    reply?.body.length === 8 ? new DataView(reply.body.buffer, reply.body.byteOffset).getBigUint64(0, true) : undefined;
  return { errno: reply?.header.errno, done };
}

function word(bench: Bench, index: number): bigint {
  return bench.device.registers.SCRATCH[index]?.WORD.number ?? -1n;
}

const scratch = (index: number): bigint => BigInt(Offset.scratch + 8 * index);

describe('REGION_WRITE_MULTI', () => {
  it('does the writes in order and tells their number', async () => {
    await using bench = new Bench({ writeMultiple: true });
    const peer = await granted(bench);
    const values: number[] = [];
    bench.device.onWrite = (value) => values.push(value);
    const hooked = BigInt(Offset.hooked);
    const body = request(
      { offset: hooked, data: 1n },
      { offset: scratch(0), count: 8, data: 0x1122_3344_5566_7788n },
      { offset: scratch(1) + 2n, count: 2, data: 0xabcdn },
      { offset: scratch(2) + 7n, count: 1, data: 0xffn },
      { offset: hooked, data: 2n },
    );
    expect(await ask(peer, body)).toEqual({ errno: 0, done: 5n });
    expect(values).toEqual([1, 2]);
    expect([word(bench, 0), word(bench, 1), word(bench, 2)]).toEqual([
      0x1122_3344_5566_7788n,
      0xabcd_0000n,
      0xffn << 56n,
    ]);
  });

  it('does thousands of them in turns, before what comes behind', async () => {
    await using bench = new Bench({ writeMultiple: true });
    const peer = await granted(bench);
    const count = 40_000;
    const writes = Array.from({ length: count }, (_, index) => ({
      offset: scratch(index % 1024),
      count: 8,
      data: BigInt(index),
    }));
    peer.send(
      encodeMessage({ id: 1, command: Command.regionWriteMultiple, flags: MessageFlag.noReply }, request(...writes)),
    );
    const read = joined(longs(scratch(0)), words(0, 8));
    const reply = await peer.ask({ id: 2, command: Command.regionRead }, read);
    expect(reply?.header.id).toBe(2);
    expect(reply?.body.subarray(16)).toEqual(longs(BigInt(Math.floor((count - 1) / 1024) * 1024)));
  });

  it('may be empty, and longer than its writes, as an array of fixed length is', async () => {
    await using bench = new Bench({ writeMultiple: true });
    const peer = await granted(bench);
    expect(await ask(peer, request())).toEqual({ errno: 0, done: 0n });
    const body = joined(request({ offset: scratch(0), data: 5n }), entry({ offset: 1n << 60n }), new Uint8Array(3));
    expect(await ask(peer, body)).toEqual({ errno: 0, done: 1n });
    expect(word(bench, 0)).toBe(5n);
  });

  it.each([
    ['no body', new Uint8Array(0)],
    ['seven bytes', new Uint8Array(7)],
    ['a number of writes that are not there', longs(1n)],
    ['the largest number', longs(0xffff_ffff_ffff_ffffn)],
    ['a number whose size wraps', joined(longs(1n << 61n), entry({ offset: scratch(0) }))],
    ['a write of 9 bytes', request({ offset: scratch(0), data: 1n }, { offset: scratch(1), count: 9 })],
    ['a region that is not there', request({ offset: scratch(0), data: 1n }, { offset: 0n, region: 9 })],
    ['a region that is read only', request({ offset: scratch(0), data: 1n }, { offset: 0n, region: ONES_REGION })],
    ['a write across the end', request({ offset: scratch(0), data: 1n }, { offset: 4094n, region: CONFIG_REGION })],
    ['an offset that wraps', request({ offset: scratch(0), data: 1n }, { offset: (1n << 64n) - 2n })],
  ])('refuses %s, and does nothing', async (_what, body) => {
    await using bench = new Bench({ writeMultiple: true });
    const peer = await granted(bench);
    expect((await peer.ask({ command: Command.regionWriteMultiple }, body))?.header.errno).toBe(22);
    expect(word(bench, 0)).toBe(0n);
  });

  it('stops at a write that the device refuses, and tells how many were done', async () => {
    await using bench = new Bench({ writeMultiple: true });
    const peer = await granted(bench);
    bench.device.onWrite = () => {
      throw new Error('a mistake of the vendor');
    };
    const failing = { offset: BigInt(Offset.hooked) };
    const body = request({ offset: scratch(0), data: 1n }, failing, { offset: scratch(1), data: 1n });
    expect(await ask(peer, body)).toEqual({ errno: 0, done: 1n });
    expect([word(bench, 0), word(bench, 1)]).toEqual([1n, 0n]);
    expect(await ask(peer, request(failing))).toMatchObject({ errno: 5 });
  });

  it.each([
    ['did not ask for it', true, {}],
    ['asked for it with false', true, { write_multiple: false }],
    ['asked a server that does not allow it', false, { write_multiple: true }],
  ])('is refused from a client that %s', async (_what, writeMultiple, capabilities) => {
    await using bench = new Bench({ writeMultiple });
    const peer = bench.peer();
    await peer.ask({ command: Command.version }, writeVersion({ major: 0, minor: 0, capabilities }));
    expect(
      (await peer.ask({ command: Command.regionWriteMultiple }, request({ offset: scratch(0), data: 1n })))?.header
        .errno,
    ).toBe(22);
    expect(word(bench, 0)).toBe(0n);
  });
});
