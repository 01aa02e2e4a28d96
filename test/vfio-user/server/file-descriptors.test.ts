import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { eventfd, memoryFile, type MemoryFile } from '../../../src/vfio-user/index.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDmaMap,
  encodeDmaUnmap,
  encodeMessage,
  encodeRegionAccess,
  encodeSetIrqs,
  joined,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import type { RawPeer } from '../support/raw-peer.ts';
import { MSIX } from '../support/test-device.ts';

const PAGE = 4096n;

/** A file whose first word says which one it is. */
function numbered(number: bigint): MemoryFile {
  const file = memoryFile(4096);
  new BigUint64Array(file.buffer).fill(number);
  return file;
}

function mapMessage(id: number, address: bigint): Uint8Array {
  return encodeMessage({ id, command: Command.dmaMap }, encodeDmaMap({ flags: 3, offset: 0n, address, size: PAGE }));
}

function readMessage(id: number): Uint8Array {
  return encodeMessage({ id, command: Command.regionRead }, encodeRegionAccess({ offset: 0n, region: 0, count: 4 }));
}

async function takeReplies(peer: RawPeer, count: number): Promise<{ id: number; errno: number }[]> {
  const list = [];
  while (list.length < count) {
    const message = await peer.next();
    if (message === undefined) throw new Error(`the stream ended: ${peer.reason ?? ''}`);
    list.push({ id: message.header.id, errno: message.header.errno });
  }
  return list;
}

describe('file descriptors', () => {
  it('belong to the message that they are sent with, in a burst of DMA maps', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const files = Array.from({ length: 60 }, (_, index) => numbered(BigInt(index) + 1000n));
    // Every third one has no file.
    await Promise.all(
      files.map(async (file, index) => {
        const iova = BigInt(index) * 0x10000n;
        await (index % 3 === 2
          ? client.dmaMap({ iova, memory: new Uint8Array(4096) })
          : client.dmaMap({ iova, size: PAGE, file }));
      }),
    );
    for (const index of files.keys()) {
      const address = BigInt(index) * 0x10000n;
      if (index % 3 === 2) expect(bench.device.core.dmaRead(address, new Uint8Array(8))).toBe(-1);
      else expect(bench.device.guestWord(address)).toBe(BigInt(index) + 1000n);
    }
    for (const file of files) file.close();
  });

  it('find their message in any pipeline, wherever it is cut', async () => {
    const piece = fc.record({
      kind: fc.constantFrom('file', 'message', 'read'),
      /** Where the message is cut, in 1/1000 of its length. */
      cuts: fc.array(fc.nat(999), { maxLength: 3 }),
      /** Which of its segments carries the file. */
      carrier: fc.nat(3),
      /** Whether the next segment waits until this one was read. */
      waits: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    });
    const file = Array.from({ length: 12 }, (_, index) => numbered(BigInt(index) + 1n));
    await using bench = new Bench();
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
        await until(() => bench.device.holder === undefined, 'the end of the client before');
        const peer = bench.peer();
        await peer.negotiate();
        for (const [index, { kind, cuts, carrier, waits }] of pieces.entries()) {
          const bytes = kind === 'read' ? readMessage(index) : mapMessage(index, BigInt(index) * PAGE);
          const ends = [
            ...new Set([...cuts.map((cut) => 1 + Math.floor((cut * (bytes.length - 1)) / 1000)), bytes.length]),
          ];
          ends.sort((a, b) => a - b);
          let start = 0;
          for (const [segment, end] of ends.entries()) {
            const carries = kind === 'file' && segment === Math.min(carrier, ends.length - 1);
            peer.send(bytes.subarray(start, end), carries ? [file[index]?.fd ?? -1] : []);
            // What is sent without a pause may be read together.
            if (waits[segment] === true) await settle(2);
            start = end;
          }
        }
        const answers = await takeReplies(peer, pieces.length);
        expect(answers).toEqual(pieces.map((_, index) => ({ id: index, errno: 0 })));
        for (const [index, { kind }] of pieces.entries()) {
          const address = BigInt(index) * PAGE;
          if (kind === 'file') expect(bench.device.guestWord(address)).toBe(BigInt(index) + 1n);
          if (kind === 'message') expect(bench.device.core.dmaRead(address, new Uint8Array(8))).toBe(-1);
        }
        peer.close();
      }),
      { numRuns: 300 },
    );
    for (const each of file) each.close();
  });

  it('of maps with a file, without, and with one find theirs, wherever two cuts fall', async () => {
    await using bench = new Bench();
    const [first, third] = [numbered(81n), numbered(83n)];
    const peer = bench.peer();
    await peer.negotiate();
    const messages = [mapMessage(1, 0n), mapMessage(2, PAGE), mapMessage(3, 2n * PAGE)];
    const fds = [[first.fd], [], [third.fd]];
    const size = messages[0]?.length ?? 0;
    const wrong: string[] = [];
    for (let left = 1; left < 3 * size; ++left) {
      for (let right = left; right < 3 * size; ++right) {
        for (const [index, message] of messages.entries()) {
          const cuts = [left, right].map((cut) => cut - index * size).filter((cut) => cut > 0 && cut < size);
          let start = 0;
          for (const end of [...new Set(cuts), size]) {
            peer.send(message.subarray(start, end), start === 0 ? fds[index] : []);
            // Half of the cuts are seen by the server, the others it reads over.
            if (end < size && (left + right) % 2 === 0) await settle(1);
            start = end;
          }
        }
        const answers = await takeReplies(peer, 3);
        const words = [0n, PAGE, 2n * PAGE].map((address) => bench.device.guestWord(address));
        if (answers.some(({ errno }) => errno !== 0) || words[0] !== 81n || words[1] !== -1n || words[2] !== 83n)
          wrong.push(`${left} and ${right}: ${words.join(' ')}`);
        bench.device.core.dmaUnmapAll();
      }
    }
    expect(wrong).toEqual([]);
    first.close();
    third.close();
  });

  it('go to the nearest earlier message that can carry them', async () => {
    await using bench = new Bench();
    const file = numbered(77n);
    const peer = bench.peer();
    await peer.negotiate();
    peer.send(joined(mapMessage(1, 0n), readMessage(2), readMessage(3)), [file.fd]);
    expect(await takeReplies(peer, 3)).toEqual([1, 2, 3].map((id) => ({ id, errno: 0 })));
    expect(bench.device.guestWord(0n)).toBe(77n);
    file.close();
  });

  it('wait for a header that is cut, at every byte of it', async () => {
    await using bench = new Bench();
    const file = numbered(78n);
    const peer = bench.peer();
    await peer.negotiate();
    for (let cut = 1; cut < 16; ++cut) {
      for (const [index, last] of [mapMessage(2, 0x20000n), readMessage(2)].entries()) {
        peer.send(joined(mapMessage(1, 0x10000n), last.subarray(0, cut)), [file.fd]);
        await settle(3);
        expect(peer.received).toEqual([]);
        peer.send(last.subarray(cut));
        expect(await takeReplies(peer, 2)).toEqual([1, 2].map((id) => ({ id, errno: 0 })));
        const [owner, other] = index === 0 ? [0x20000n, 0x10000n] : [0x10000n, 0x20000n];
        expect(bench.device.guestWord(owner)).toBe(78n);
        expect(bench.device.guestWord(other)).not.toBe(78n);
        bench.device.core.dmaUnmapAll();
      }
    }
    file.close();
  });

  it('behind a buffer full of messages that could own them are waited for no longer than that', async () => {
    await using bench = new Bench();
    const file = numbered(79n);
    const peer = bench.peer();
    await peer.negotiate();
    const maps = Array.from({ length: 1361 }, (_, index) => mapMessage(index, BigInt(index) * PAGE));
    const unmaps = Array.from({ length: 5 }, (_, index) =>
      encodeMessage(
        { id: 1361 + index, command: Command.dmaUnmap },
        encodeDmaUnmap({ flags: 0, address: 1n << 60n, size: PAGE }),
      ),
    );
    const burst = joined(...maps, ...unmaps);
    // Eight bytes of the next header still fit behind it.
    expect(burst).toHaveLength(65_528);
    // The server does not read before this turn of the loop is over.
    peer.send(burst);
    peer.send(mapMessage(7777, 1n << 40n), [file.fd]);
    const answers = await takeReplies(peer, 1367);
    expect(answers.map(({ id }) => id)).toEqual([...Array.from({ length: 1366 }, (_, index) => index), 7777]);
    expect(answers.filter(({ errno }) => errno !== 0)).toHaveLength(5);
    expect(bench.device.guestWord(1n << 40n)).toBe(79n);
    file.close();
  });

  it('in the wrong place are closed, and their message is refused', async () => {
    await using bench = new Bench();
    const event = eventfd();
    const peer = bench.peer();
    await peer.negotiate();
    await settle();
    const before = openFiles();
    peer.send(readMessage(1));
    peer.send(readMessage(2), [event.fd, event.fd]);
    peer.send(readMessage(3));
    expect(await takeReplies(peer, 3)).toEqual([
      { id: 1, errno: 0 },
      { id: 2, errno: 22 },
      { id: 3, errno: 0 },
    ]);
    expect(openFiles()).toBe(before);
    event.close();
  });

  it('are not kept by a client that sends many and no message', async () => {
    await using bench = new Bench();
    const event = eventfd();
    const peer = bench.peer();
    await peer.negotiate();
    await settle();
    const before = openFiles();
    const [first = 0, ...rest] = mapMessage(1, 0n);
    peer.send(
      joined(mapMessage(0, 0n), Uint8Array.of(first)),
      Array.from({ length: 253 }, () => event.fd),
    );
    for (const byte of rest.slice(0, 14)) {
      await settle(1);
      peer.send(
        Uint8Array.of(byte),
        Array.from({ length: 253 }, () => event.fd),
      );
    }
    await settle();
    // The first ones may still turn out to be the first message's, the others the second one's: as many as Linux delivers with one.
    expect(openFiles() - before).toBeLessThanOrEqual(2 * 253);
    peer.close();
    await until(() => openFiles() === before - 2, 'closing every descriptor');
    event.close();
  });

  it('of eventfds arrive in order', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.negotiate();
    const events = Array.from({ length: 16 }, () => eventfd());
    const body = encodeSetIrqs({ flags: 0x24, index: MSIX, start: 100, count: 16 });
    peer.send(
      encodeMessage({ id: 1, command: Command.deviceSetIrqs }, body),
      events.map(({ fd }) => fd),
    );
    expect(await takeReplies(peer, 1)).toEqual([{ id: 1, errno: 0 }]);
    for (const [index, event] of events.entries()) {
      bench.device.core.triggerIrq(MSIX, 100 + index);
      expect(event.read()).toBe(1);
    }
    for (const event of events) event.close();
  });
});
