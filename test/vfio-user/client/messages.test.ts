import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { type Client, connect, eventfd, memoryFile } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import * as wire from '../../../src/vfio-user/protocol/structures/index.ts';
import { type Capabilities, readVersion, writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { openFiles, settle, until } from '../support/bench.ts';
import { RawPeer, type Received } from '../support/raw-peer.ts';

const { ENOTTY } = constants.errno;

/** A client that has agreed with the hand-written server at its other end. */
async function agreed(capabilities: Capabilities = {}): Promise<{ client: Client; server: RawPeer }> {
  const [near, far] = socketPair();
  const server = new RawPeer(far);
  const connecting = connect({ fd: near });
  await answer(server, writeVersion({ major: 0, minor: 1, capabilities }));
  return { client: await connecting, server };
}

/** Answers the next request, and gives it. */
async function answer(
  server: RawPeer,
  body: Uint8Array | number,
  fds: readonly number[] = [],
): Promise<Received | undefined> {
  const message = await server.next();
  if (message === undefined) throw new Error('the client hung up');
  const { command, id } = message.header;
  const reply =
    typeof body === 'number'
      ? wire.encodeMessage({ id, command, flags: MessageFlag.reply | MessageFlag.error, errno: body })
      : wire.encodeMessage({ id, command, flags: MessageFlag.reply }, body);
  server.send(reply, fds);
  return message;
}

async function end({ client, server }: { client: Client; server: RawPeer }): Promise<void> {
  await client.close();
  server.close();
}

describe('what a client says', () => {
  it('VERSION: offers what it can', async () => {
    const [near, far] = socketPair();
    const server = new RawPeer(far);
    const connecting = connect({ fd: near });
    const message = await answer(server, writeVersion({ major: 0, minor: 0, capabilities: { max_msg_fds: 2 } }));
    expect(readVersion(message?.body ?? new Uint8Array(0))).toEqual({
      major: 0,
      minor: 1,
      capabilities: {
        max_msg_fds: 16,
        max_data_xfer_size: 1_048_576,
        max_dma_maps: 65_535,
        pgsizes: 4096,
        write_multiple: true,
        migration: { pgsize: 4096, max_bitmap_size: 1_048_576 },
      },
    });
    const client = await connecting;
    expect(client.version).toEqual({ major: 0, minor: 0, capabilities: { max_msg_fds: 2 } });
    await end({ client, server });
  });

  it('VERSION: takes a twin socket, and answers there', async () => {
    const [near, far] = socketPair();
    const [twinNear, twinFar] = socketPair();
    const server = new RawPeer(far);
    const offer = { capabilities: { twin_socket: { supported: true } } };
    const connecting = connect({ fd: near }, { offer });
    const accepted = { twin_socket: { supported: true, fd_index: 0 } };
    await answer(server, writeVersion({ major: 0, minor: 1, capabilities: accepted }), [twinFar]);
    const client = await connecting;
    const twin = new RawPeer(twinNear);
    const memory = new Uint8Array(4096).fill(7);
    const mapping = client.dmaMap({ iova: 0n, memory });
    const read = await twin.ask({ command: Command.dmaRead }, wire.encodeDmaAccess({ address: 8n, count: 4n }));
    expect(read?.body.subarray(16)).toEqual(Uint8Array.of(7, 7, 7, 7));
    await answer(server, new Uint8Array(0));
    await mapping;
    // It ends with either.
    twin.close();
    expect(await client.closed).toContain('the twin socket');
    server.close();
    await client.close();
  });

  it('VERSION: refuses a twin that is no socket, and one that it did not ask for', async () => {
    for (const [offer, isSocket] of [
      [{ capabilities: { twin_socket: { supported: true } } }, false],
      [{}, true],
    ] as const) {
      const [near, far] = socketPair();
      const server = new RawPeer(far);
      const file = memoryFile(4096);
      const connecting = connect({ fd: near }, { offer });
      const accepted = { twin_socket: { supported: true, fd_index: 0 } };
      await Promise.all([
        answer(server, writeVersion({ major: 0, minor: 1, capabilities: accepted }), [file.fd]),
        isSocket
          ? expect(connecting).rejects.toMatchObject({ code: 'EPROTO' })
          : connecting.then((client) => client.closed),
      ]);
      file.close();
      server.close();
    }
  });

  it('GET_REGION_INFO: asks again when there is more, and keeps no file', async () => {
    const both = await agreed();
    const { client, server } = both;
    const capabilities = {
      mmapAreas: [{ offset: 0x2000, size: 0x1000 }],
      type: 0x8000_8086,
      subtype: 1,
      msixMappable: true,
    };
    const encoded = wire.encodeRegionCapabilities(capabilities, 32);
    const argsz = 32 + encoded.length;
    const plain = { argsz, index: 2, size: 0x8000, offset: 0x8000 };
    const file = memoryFile(4096);
    const before = openFiles();
    const info = client.regionInfo(2);
    await answer(server, wire.encodeRegionInfo({ ...plain, flags: 7, capabilityOffset: 0 }));
    const front = wire.encodeRegionInfo({ ...plain, flags: 15, capabilityOffset: 32 });
    const second = await answer(server, wire.joined(front, encoded), [file.fd]);
    expect(wire.decodeRegionInfo(second?.body ?? new Uint8Array(0))?.argsz).toBe(argsz);
    expect(await info).toEqual({ index: 2, size: 0x8000, flags: 15, capabilities });
    await until(() => openFiles() === before, 'closing the file');
    file.close();
    await end(both);
  });

  it('GET_REGION_IO_FDS: asks again with the room it needs', async () => {
    const both = await agreed();
    const { client, server } = both;
    const lines = [eventfd(), eventfd()] as const;
    const entries = [
      { offset: 0x40, size: 4, fdIndex: 1, datamatch: 7n },
      { offset: 0x48, size: 0, fdIndex: 0 },
      { offset: 0x50, size: 8, fdIndex: 0xffff_ffff },
    ];
    const front = { argsz: 16 + 3 * 40, flags: 0, index: 1, count: 3 };
    const before = openFiles();
    const asking = client.regionEventFds(1);
    await answer(server, wire.encodeRegionIoFds(front));
    await answer(
      server,
      wire.encodeRegionIoFds(front, entries),
      lines.map(({ fd }) => fd),
    );
    {
      using got = await asking;
      expect(got.entries).toMatchObject([
        { offset: 0x40, size: 4, datamatch: 7n },
        { offset: 0x48, size: 0 },
        { offset: 0x50, size: 8, fd: undefined },
      ]);
      expect(openFiles()).toBe(before + 2);
    }
    await until(() => openFiles() === before, 'closing them');
    for (const line of lines) line.close();
    await end(both);
  });

  it('GET_REGION_IO_FDS: a server that never has room enough has made no sense', async () => {
    const both = await agreed();
    const { client, server } = both;
    const asking = expect(client.regionEventFds(1)).rejects.toMatchObject({ name: 'VfioError', code: 'EPROTO' });
    for (const count of [3, 4]) {
      await answer(server, wire.encodeRegionIoFds({ argsz: 16 + count * 40, flags: 0, index: 1, count }));
    }
    await asking;
    await end(both);
  });

  it('SET_IRQS: as many messages as eventfds and gaps make necessary', async () => {
    const both = await agreed({ max_msg_fds: 2 });
    const { client, server } = both;
    const event = eventfd();
    const setting = client.setIrqs({ index: 2, start: 4, eventfds: [event.fd, event.fd, event.fd, -1, -1, event.fd] });
    const bodies = [];
    for (let i = 0; i < 4; ++i) bodies.push((await answer(server, new Uint8Array(0)))?.body);
    await setting;
    const words = (start: number, count: number): Uint8Array => wire.words(20, 0x24, 2, start, count);
    expect(bodies).toEqual([words(4, 2), words(6, 1), words(7, 2), words(9, 1)]);
    event.close();
    for (const [request, flags, data] of [
      [{ index: 0, action: 'mask', count: 1 }, 0x9, []],
      [{ index: 0, action: 'unmask', booleans: [true] }, 0x12, [1]],
      [{ index: 0, action: 'unmask', eventfds: [], count: 1 }, 0x14, []],
      [{ index: 0, count: 0 }, 0x21, []],
    ] as const) {
      const asked = client.setIrqs(request);
      const message = await answer(server, new Uint8Array(0));
      const count = 'count' in request ? request.count : 1;
      expect(message?.body).toEqual(
        wire.joined(wire.words(20 + data.length, flags, 0, 0, count), Uint8Array.from(data)),
      );
      await asked;
    }
    await end(both);
  });

  it('REGION_WRITE_MULTI: only to a server that takes it', async () => {
    const writes = [
      { region: 0, offset: 8, data: Uint8Array.of(1, 2, 3, 4) },
      { region: 2, offset: 0, data: new Uint8Array(8).fill(9) },
    ];
    const without = await agreed();
    await expect(without.client.writeRegions(writes)).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    await end(without);
    const both = await agreed({ write_multiple: true });
    const { client, server } = both;
    const writing = client.writeRegions(writes);
    const message = await answer(server, wire.longs(1n));
    expect(wire.decodeRegionWriteMulti(message?.body ?? new Uint8Array(0))).toEqual(
      writes.map((write) => ({ ...write, offset: BigInt(write.offset) })),
    );
    expect(await writing).toBe(1);
    expect(await client.writeRegions(writes, { posted: true })).toBe(2);
    expect((await server.next())?.header).toMatchObject({ command: 15, flags: MessageFlag.noReply });
    await end(both);
  });

  it('DEVICE_FEATURE: probe, get and set', async () => {
    const both = await agreed();
    const { client, server } = both;
    const get = client.feature({ index: 1, get: true, replySize: 8 });
    const asked = await answer(server, wire.encodeDeviceFeature(0x1_0001, wire.longs(5n)));
    expect(asked?.body).toEqual(wire.words(16, 0x1_0001));
    expect(await get).toEqual(wire.longs(5n));
    const set = client.feature({ index: 2, set: true, data: wire.encodeMigrationState(1) });
    expect((await answer(server, wire.encodeDeviceFeature(0x2_0002, wire.words(1, 7))))?.body).toEqual(
      wire.words(16, 0x2_0002, 1, 0xffff_ffff),
    );
    expect(await set).toEqual(wire.words(1, 7));
    const probe = client.feature({ index: 77, get: true, probe: true });
    await answer(server, ENOTTY);
    await expect(probe).rejects.toMatchObject({ code: 'ENOTTY', request: 'deviceFeature' });
    await end(both);
  });

  it('MIG_DATA_READ and MIG_DATA_WRITE: the stream, padded or not, in pieces', async () => {
    const both = await agreed({ max_data_xfer_size: 4 });
    const { client, server } = both;
    const reading = client.readMigrationData(100);
    expect((await answer(server, wire.encodeMigrationData(Uint8Array.of(1, 2), 4)))?.body).toEqual(wire.words(12, 4));
    expect(await reading).toEqual(Uint8Array.of(1, 2));
    const writing = client.writeMigrationData(Uint8Array.of(1, 2, 3, 4, 5, 6));
    const pieces = [await answer(server, new Uint8Array(0)), await answer(server, new Uint8Array(0))];
    await writing;
    expect(pieces.map((piece) => piece?.body)).toEqual([
      wire.encodeMigrationData(Uint8Array.of(1, 2, 3, 4)),
      wire.encodeMigrationData(Uint8Array.of(5, 6)),
    ]);
    await end(both);
  });

  it('DMA_UNMAP: asks for the bitmap of dirty pages', async () => {
    const both = await agreed();
    const { client, server } = both;
    const unmapping = client.dmaUnmapDirty({ iova: 0x1000n, size: 0x41000n }, 0x1000n);
    const bitmap = new Uint8Array(16).fill(0xa5);
    const request = wire.joined(wire.words(56, 1), wire.longs(0x1000n, 0x41000n, 0x1000n, 16n));
    expect((await answer(server, wire.joined(request, bitmap)))?.body).toEqual(request);
    expect(await unmapping).toEqual(bitmap);
    await expect(client.dmaUnmapDirty({ iova: 0n, size: 2n ** 60n }, 1n)).rejects.toMatchObject({ code: 'EINVAL' });
    await end(both);
  });

  it.each<[string, (client: Client) => Promise<unknown>, Uint8Array, number]>([
    ['a region of another index', (c) => c.regionInfo(1), wire.words(32, 3, 2, 0, 0, 0, 0, 0), 1],
    ['a region of 2^63 bytes', (c) => c.regionInfo(1), wire.words(32, 3, 1, 0, 0, 0x8000_0000, 0, 0), 0],
    ['capabilities that are not there', (c) => c.regionInfo(1), wire.words(32, 8, 1, 32, 0, 0, 0, 0), 2],
    ['capabilities in the front', (c) => c.regionInfo(1), wire.words(32, 8, 1, 8, 0, 0, 0, 0), 0],
    ['an argsz of 2 GiB', (c) => c.regionInfo(1), wire.words(0x8000_0000, 0, 1, 0, 0, 0, 0, 0), 0],
    ['2^32 - 1 eventfds', (c) => c.regionEventFds(1), wire.words(16, 0, 1, 0xffff_ffff), 0],
    ['another feature', (c) => c.feature({ index: 1, get: true, replySize: 8 }), wire.words(16, 0x1_0002, 0, 0), 0],
    ['more data than asked for', (c) => c.feature({ index: 1, get: true, replySize: 8 }), new Uint8Array(40), 0],
    ['more of a stream than asked for', (c) => c.readMigrationData(4), wire.words(13, 5, 0, 0), 0],
    ['less of a stream than it says', (c) => c.readMigrationData(4), wire.words(12, 4), 0],
    ['a bitmap of another size', (c) => c.dmaUnmapDirty({ iova: 0n, size: 4096n }, 4096n), new Uint8Array(40), 0],
  ])('cuts off a server that answers with %s', async (_what, ask, body, files) => {
    const file = memoryFile(4096);
    await settle();
    const before = openFiles();
    const { client, server } = await agreed();
    const other = client.reset();
    const asked = ask(client);
    const expectations = [
      expect(asked).rejects.toMatchObject({ name: 'VfioError', code: 'EPROTO' }),
      expect(other).rejects.toMatchObject({ name: 'VfioError', code: 'EPROTO' }),
    ];
    // The reset stays unanswered.
    await server.next();
    await answer(
      server,
      body,
      Array.from({ length: files }, () => file.fd),
    );
    await Promise.all(expectations);
    await client.closed;
    server.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    file.close();
  });
});
