import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { eventfd, memoryFile } from '../../../src/vfio-user/index.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDmaMap,
  encodeDmaUnmap,
  encodeMessage,
  encodeRegionAccess,
  encodeSetIrqs,
  joined,
  words,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { Offset } from '../support/test-device.ts';

/** Messages that each run sends, times runs: 10,000 and more. */
const MESSAGES_PER_RUN = 25;
const RUNS = 400;

/** Numbers at which something changes. */
const offset = fc.oneof(
  fc.bigInt({ min: 0n, max: 0x5000n }),
  fc.constantFrom(0n, 0x3fffn, 0x4000n, (1n << 32n) - 1n, 1n << 63n, (1n << 64n) - 4096n, (1n << 64n) - 1n),
);
const word = fc.oneof(fc.nat(40), fc.constantFrom(0xffff_ffff, 0x8000_0000, 1 << 20, (1 << 20) + 1), fc.nat());
const small = fc.uint8Array({ maxLength: 40 });
const pages = fc.nat(8).map((page) => BigInt(page) * 4096n);

/** A command with a body of its form: sensible ones, and ones at the edge. */
const request: fc.Arbitrary<{ readonly command: number; readonly body: Uint8Array }> = fc.oneof(
  fc.tuple(offset, word, word).map(([at, region, count]) => ({
    command: Command.regionRead,
    body: encodeRegionAccess({ offset: at, region, count }),
  })),
  fc.tuple(fc.nat(0x4100), fc.nat(600)).map(([at, count]) => ({
    command: Command.regionRead,
    body: encodeRegionAccess({ offset: BigInt(at), region: 0, count }),
  })),
  fc.tuple(offset, fc.nat(2), small).map(([at, region, data]) => ({
    command: Command.regionWrite,
    body: encodeRegionAccess({ offset: at, region, count: data.length }, data),
  })),
  fc.tuple(offset, word, word, small).map(([at, region, count, data]) => ({
    command: Command.regionWrite,
    body: encodeRegionAccess({ offset: at, region, count }, data),
  })),
  fc.tuple(word, offset, offset, offset).map(([flags, at, address, size]) => ({
    command: Command.dmaMap,
    body: encodeDmaMap({ flags, offset: at, address, size }),
  })),
  fc.tuple(fc.nat(3), pages, pages, pages).map(([flags, at, address, size]) => ({
    command: Command.dmaMap,
    body: encodeDmaMap({ flags, offset: at, address, size }),
  })),
  fc.tuple(fc.nat(3), offset, offset).map(([flags, address, size]) => ({
    command: Command.dmaUnmap,
    body: encodeDmaUnmap({ flags, address, size }),
  })),
  pages.map((address) => ({ command: Command.dmaUnmap, body: encodeDmaUnmap({ flags: 0, address, size: 4096n }) })),
  fc
    .tuple(fc.nat(0x7f), word, word, word, fc.uint8Array({ maxLength: 8 }))
    .map(([flags, index, start, count, data]) => ({
      command: Command.deviceSetIrqs,
      body: encodeSetIrqs({ flags, index, start, count }, data),
    })),
  fc.tuple(fc.nat(4), fc.nat(2050), fc.nat(20)).map(([index, start, count]) => ({
    command: Command.deviceSetIrqs,
    body: encodeSetIrqs({ flags: 0x24, index, start, count }),
  })),
  fc.tuple(fc.constantFrom(4, 5, 7, 13), word, word, word).map(([command, argsz, flags, index]) => ({
    command,
    body: joined(words(argsz >>> 0, flags >>> 0, index >>> 0, 0), new Uint8Array(16)),
  })),
);

/** A message whose header is honest more often than not. */
const message = fc
  .record({
    id: fc.nat(0xffff),
    request: fc.oneof(
      { weight: 8, arbitrary: request },
      { weight: 1, arbitrary: fc.record({ command: fc.nat(20), body: fc.uint8Array({ maxLength: 64 }) }) },
      { weight: 1, arbitrary: fc.record({ command: fc.nat(0xffff), body: fc.uint8Array({ maxLength: 64 }) }) },
    ),
    flags: fc.oneof(
      { weight: 20, arbitrary: fc.constant(0) },
      { weight: 5, arbitrary: fc.constant(0x10) },
      { weight: 1, arbitrary: fc.constantFrom(1, 2, 0x21, 0x40, 0xffff_ffff) },
    ),
    size: fc.oneof(
      { weight: 300, arbitrary: fc.constant(undefined) },
      { weight: 2, arbitrary: fc.nat(200) },
      { weight: 1, arbitrary: fc.constantFrom(0, 15, 16, 1_048_608, 1_048_609, 0xffff_ffff) },
    ),
    fds: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(20) }),
    /** Memory files, else eventfds. */
    isFile: fc.boolean(),
    /** How much of it is sent, in 1/1000; the rest is lost. */
    cut: fc.oneof({ weight: 300, arbitrary: fc.constant(1000) }, { weight: 1, arbitrary: fc.nat(999) }),
    pause: fc.boolean(),
  })
  .map(({ size, ...rest }) => ({ ...rest, ...(size === undefined ? {} : { size }) }));

describe('a hostile client', () => {
  it('of any messages leaves nothing behind, and the next client is served', async () => {
    await using bench = new Bench();
    const file = memoryFile(8 * 4096);
    const event = eventfd();
    await settle();
    const before = openFiles();
    let sent = 0;
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: MESSAGES_PER_RUN, maxLength: MESSAGES_PER_RUN }),
        fc.nat(9).map((chance) => chance > 0),
        async (messages, negotiates) => {
          const peer = bench.peer();
          if (negotiates) await peer.negotiate();
          for (const {
            request: { command, body },
            fds,
            isFile,
            cut,
            pause,
            ...header
          } of messages) {
            const bytes = encodeMessage({ ...header, command }, body);
            const length = Math.max(1, Math.floor((bytes.length * cut) / 1000));
            peer.send(
              bytes.subarray(0, length),
              Array.from({ length: fds }, () => (isFile ? file.fd : event.fd)),
            );
            sent += 1;
            if (pause) await settle(1);
          }
          await settle(3);
          answered += peer.received.length;
          peer.close();
          await until(() => bench.device.holder === undefined, 'the end of the client');
          const next = bench.peer();
          await next.negotiate();
          const read = encodeRegionAccess({ offset: BigInt(Offset.id), region: 0, count: 4 });
          const answer = await next.ask({ command: Command.regionRead }, read);
          expect(answer?.body.subarray(16)).toEqual(words(0x1234_5678));
          next.close();
          await until(() => bench.device.holder === undefined, 'the end of the second client');
        },
      ),
      { numRuns: RUNS },
    );
    expect(sent).toBeGreaterThanOrEqual(10_000);
    // Most of them get as far as being looked at.
    expect(answered).toBeGreaterThan(5_000);
    expect(bench.device.failures).toEqual([]);
    await until(() => openFiles() === before, 'closing every descriptor');
    file.close();
    event.close();
  }, 60_000);

  it('of any bytes is answered or closed', async () => {
    await using bench = new Bench();
    const file = memoryFile(4096);
    await settle();
    const before = openFiles();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 10 }),
        fc.boolean(),
        async (pieces, negotiates) => {
          const peer = bench.peer();
          if (negotiates) await peer.negotiate();
          for (const [index, piece] of pieces.entries()) peer.send(piece, index % 3 === 2 ? [file.fd] : []);
          await settle(3);
          peer.close();
          await until(() => bench.device.holder === undefined, 'the end of the client');
        },
      ),
      { numRuns: 300 },
    );
    const client = await bench.client();
    await expect(client.info()).resolves.toBeDefined();
    await client.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    file.close();
  });

  it('whose messages were changed in one place is answered for all of them, or closed', async () => {
    const valid = [
      encodeMessage({ id: 1, command: Command.deviceGetInfo }, words(16, 0, 0, 0)),
      encodeMessage(
        { id: 2, command: Command.regionRead },
        encodeRegionAccess({ offset: BigInt(Offset.id), region: 0, count: 4 }),
      ),
      encodeMessage(
        { id: 3, command: Command.regionWrite },
        encodeRegionAccess({ offset: BigInt(Offset.control), region: 0, count: 4 }, new Uint8Array(4)),
      ),
      encodeMessage(
        { id: 4, command: Command.dmaMap },
        encodeDmaMap({ flags: 3, offset: 0n, address: 0n, size: 4096n }),
      ),
      encodeMessage({ id: 5, command: Command.dmaUnmap }, encodeDmaUnmap({ flags: 0, address: 0n, size: 4096n })),
      encodeMessage(
        { id: 6, command: Command.deviceSetIrqs },
        encodeSetIrqs({ flags: 0x21, index: 2, start: 0, count: 0 }),
      ),
    ];
    const all = joined(...valid);
    const probe = encodeMessage({ id: 0xbeef, command: 999 });
    await using bench = new Bench();
    for (let at = 0; at < all.length; ++at) {
      for (const change of [0x01, 0x10, 0x80, 0xff]) {
        const peer = bench.peer();
        await peer.negotiate();
        const mutated = all.slice();
        mutated[at] = (mutated[at] ?? 0) ^ change;
        peer.send(joined(mutated, probe));
        await settle(2);
        // Either the stream is still in step, and the probe is answered last, or it waits for more, or it ended.
        const last = peer.received.at(-1);
        if (last?.header.id === 0xbeef) expect(last.header.errno).toBe(22);
        peer.close();
        await until(() => bench.device.holder === undefined, 'the end of the client');
      }
    }
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });
});
