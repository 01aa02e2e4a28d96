import { describe, expect, it } from 'vitest';

import { memoryFile } from '../../../src/vfio-user/index.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDmaMap,
  encodeMessage,
  encodeRegionAccess,
  joined,
  words,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import type { RawPeer, Received } from '../support/raw-peer.ts';
import { Offset } from '../support/test-device.ts';

const version = encodeMessage(
  { id: 1, command: Command.version },
  writeVersion({ major: 0, minor: 0, capabilities: { max_msg_fds: 16 } }),
);

/** One message of each kind, with a posted one among them. */
const stream = joined(
  version,
  encodeMessage({ id: 2, command: Command.deviceGetInfo }, words(16, 0, 0, 0)),
  encodeMessage(
    { id: 3, command: Command.regionWrite, flags: MessageFlag.noReply },
    encodeRegionAccess({ offset: BigInt(Offset.control), region: 0, count: 4 }, words(0xaabb_ccdd)),
  ),
  encodeMessage(
    { id: 4, command: Command.regionRead },
    encodeRegionAccess({ offset: BigInt(Offset.control), region: 0, count: 4 }),
  ),
  encodeMessage({ id: 5, command: Command.deviceGetIrqInfo }, words(16, 0, 2, 0)),
  encodeMessage({ id: 6, command: 999 }, new Uint8Array(5)),
  encodeMessage({ id: 7, command: Command.deviceReset }),
);

async function replies(peer: RawPeer, count: number): Promise<Received[]> {
  const list: Received[] = [];
  while (list.length < count) {
    const message = await peer.next();
    if (message === undefined) throw new Error(`the stream ended: ${peer.reason ?? ''}`);
    list.push(message);
  }
  return list;
}

const REPLIES = 6;

describe('a stream', () => {
  it('means the same wherever it is cut in two', async () => {
    await using bench = new Bench();
    const whole = bench.peer();
    whole.send(stream);
    const expected = await replies(whole, REPLIES);
    expect(expected.map(({ header }) => header.id)).toEqual([1, 2, 4, 5, 6, 7]);
    expect(expected[2]?.body.subarray(16)).toEqual(words(0xaabb_ccdd));
    whole.close();
    for (let cut = 1; cut < stream.length; ++cut) {
      await until(() => bench.device.holder === undefined, 'the end of the client before');
      const peer = bench.peer();
      peer.send(stream.subarray(0, cut));
      await settle(3);
      peer.send(stream.subarray(cut));
      expect(await replies(peer, REPLIES)).toEqual(expected);
      peer.close();
    }
    expect(bench.device.resets).toBe(stream.length);
  });

  it('means the same byte by byte', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    for (const byte of stream) {
      peer.send(Uint8Array.of(byte));
      await settle(2);
    }
    expect((await replies(peer, REPLIES)).map(({ header }) => header.id)).toEqual([1, 2, 4, 5, 6, 7]);
  });

  it('may end at every byte: nothing leaks, and the next client is served', async () => {
    await using bench = new Bench();
    const file = memoryFile(4096);
    const mapped = encodeMessage(
      { id: 2, command: Command.dmaMap },
      encodeDmaMap({ flags: 3, offset: 0n, address: 0n, size: 4096n }),
    );
    await settle();
    const before = openFiles();
    for (let end = 0; end <= mapped.length; ++end) {
      await until(() => bench.device.holder === undefined, 'the end of the client before');
      const peer = bench.peer();
      peer.send(version);
      await replies(peer, 1);
      if (end > 0) peer.send(mapped.subarray(0, end), [file.fd]);
      await settle(3);
      peer.close();
      await until(() => bench.device.holder === undefined, 'the end of the client');
      expect(bench.device.guestWord(0n)).toBeLessThan(0n);
    }
    for (let end = 0; end < stream.length; end += 3) {
      const peer = bench.peer();
      peer.send(stream.subarray(0, end));
      await settle(2);
      peer.close();
    }
    await until(() => openFiles() === before, 'closing every descriptor');
    await expect((await bench.client()).info()).resolves.toBeDefined();
    expect(bench.disconnections.some((reason) => reason.includes('in the middle of a message'))).toBe(true);
    file.close();
  });
});
