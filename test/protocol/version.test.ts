import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { eventfd } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, joined, words } from '../../src/vfio-user/protocol/structures/index.ts';
import { readVersion, type Version } from '../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../vfio-user/support/bench.ts';
import { errorReply } from '../vfio-user/support/raw-peer.ts';

const { EINVAL } = constants.errno;

/** The body of VERSION with any text behind the numbers. */
function version(major: number, minor: number, text = ''): Uint8Array {
  return joined(Uint8Array.of(major & 0xff, major >> 8, minor & 0xff, minor >> 8), new TextEncoder().encode(text));
}

function offer(capabilities: unknown): Uint8Array {
  return version(0, 0, `${JSON.stringify({ capabilities })}\0`);
}

/** What QEMU 11 sends. */
const qemu = version(
  0,
  0,
  '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, ' +
    '"migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}\0',
);

async function accepted(body: Uint8Array): Promise<{ version: Version; size: number }> {
  await using bench = new Bench();
  const reply = await bench.peer().ask({ command: Command.version }, body);
  expect(reply?.header).toMatchObject({ id: 7, command: Command.version, flags: 1, errno: 0 });
  const answer = readVersion(reply?.body ?? new Uint8Array(0));
  if ('problem' in answer) throw new Error(answer.problem);
  return { version: answer, size: reply?.header.size ?? 0 };
}

describe('VERSION', () => {
  it('answers QEMU in no more bytes than QEMU sent, with minor 0 and without write_multiple', async () => {
    expect(qemu.length + 16).toBe(214);
    const { version: answer, size } = await accepted(qemu);
    expect(size).toBeLessThanOrEqual(214);
    expect(answer).toEqual({
      major: 0,
      minor: 0,
      capabilities: { max_msg_fds: 16, max_data_xfer_size: 1_048_576, pgsizes: 4096, max_dma_maps: 65_535 },
    });
  });

  it('speaks the older of the two minor versions', async () => {
    expect((await accepted(version(0, 0))).version.minor).toBe(0);
    expect((await accepted(version(0, 1))).version.minor).toBe(1);
    expect((await accepted(version(0, 2))).version.minor).toBe(1);
    expect((await accepted(version(0, 65_535))).version.minor).toBe(1);
  });

  it.each([
    ['N15: no text', version(0, 1), {}],
    ['N16: an empty object', version(0, 1, '{}\0'), {}],
    ['empty capabilities', offer({}), {}],
    ['unknown ones', offer({ teleport: true }), {}],
    [
      'N17: some',
      offer({ max_msg_fds: 1024, max_data_xfer_size: 1_048_576 }),
      { max_msg_fds: 16, max_data_xfer_size: 1 << 20 },
    ],
    ['a twin socket that is not wanted', offer({ twin_socket: { supported: false } }), {}],
    [
      'a twin socket whose descriptor is not taken',
      offer({ twin_socket: { supported: true }, max_msg_fds: 0 }),
      { max_msg_fds: 16 },
    ],
    ['write_multiple, which the operator did not enable', offer({ write_multiple: true }), {}],
    ['migration', offer({ migration: { pgsize: 4096 } }), {}],
    ['few DMA maps', offer({ max_dma_maps: 3 }), { max_dma_maps: 3 }],
    ['larger pages', offer({ pgsizes: 0x210000 }), { pgsizes: 0x10000 }],
    [
      'no fds and a tiny transfer',
      offer({ max_msg_fds: 0, max_data_xfer_size: 1 }),
      { max_msg_fds: 16, max_data_xfer_size: 1 << 20 },
    ],
  ])('answers %s with a subset', async (_what, body, expected) => {
    expect((await accepted(body)).version.capabilities).toEqual(expected);
  });

  it("tells the operator's limits of guest memory", async () => {
    await using bench = new Bench();
    const { core } = bench.device;
    const windows = BigUint64Array.of(0n, 0xffff_ffffn);
    expect(core.setDmaLimits(5n, 0x210000n, windows, 4096n)).toBe(0);
    for (const [offered, told] of [
      [{ max_dma_maps: 100 }, { max_dma_maps: 5 }],
      [{ max_dma_maps: 4 }, { max_dma_maps: 4 }],
      [{ pgsizes: 0x10000 }, { pgsizes: 0x10000 }],
      [{ pgsizes: 0x41000 }, { pgsizes: 0x40000 }],
      [{}, {}],
    ] as const) {
      const peer = bench.peer();
      const reply = await peer.ask({ command: Command.version }, offer(offered));
      expect(readVersion(reply?.body ?? new Uint8Array(0))).toMatchObject({ capabilities: told });
      peer.close();
      await until(() => bench.device.holder === undefined, 'letting go');
    }
    const peer = bench.peer();
    const small = await peer.ask({ command: Command.version }, offer({ pgsizes: 4096 }));
    expect(small).toEqual(errorReply(Command.version, EINVAL));
    expect(bench.refusals).toEqual([
      'version refused with EINVAL: capabilities.pgsizes is 4096; maps have pages of 65536 bytes',
    ]);
    expect(bench.device.holds).toBe(5);
  });

  it.each([
    ['N1: an empty body', new Uint8Array(0)],
    ['three bytes', new Uint8Array(3)],
    ['major version 1', version(1, 0)],
    ['N4: major version 999', version(999, 0)],
    ['N5: a text without NUL', version(0, 0, '{}')],
    ['a text that ends with a space', version(0, 0, '{} ')],
    ['NUL alone', version(0, 0, '\0')],
    ['N6: half an object', version(0, 0, '{\0')],
    ['N7: half a string', version(0, 0, '"\0')],
    ['a NUL inside', version(0, 0, '{}\0{}\0')],
    ['bytes that are no UTF-8', joined(version(0, 0, '{"'), Uint8Array.of(0xff), new TextEncoder().encode('":1}\0'))],
    ['an array', version(0, 0, '[]\0')],
    ['a number', version(0, 0, '1\0')],
    ['null', version(0, 0, 'null\0')],
    ['N8: capabilities that are a string', offer('23')],
    ['capabilities that are an array', offer([])],
    ['capabilities that are null', offer(null)],
    ['N9: max_msg_fds "foo"', offer({ max_msg_fds: 'foo' })],
    ['N10: max_msg_fds -1', offer({ max_msg_fds: -1 })],
    ['N11: max_msg_fds 1025', offer({ max_msg_fds: 1025 })],
    ['max_msg_fds 1.5', offer({ max_msg_fds: 1.5 })],
    ['max_msg_fds null', offer({ max_msg_fds: null })],
    ['max_data_xfer_size "foo"', offer({ max_data_xfer_size: 'foo' })],
    ['max_data_xfer_size 0', offer({ max_data_xfer_size: 0 })],
    ['max_data_xfer_size -1', offer({ max_data_xfer_size: -1 })],
    ['max_data_xfer_size 1e300', offer({ max_data_xfer_size: 1e300 })],
    ['max_dma_maps 0', offer({ max_dma_maps: 0 })],
    ['pgsizes 4095', offer({ pgsizes: 4095 })],
    ['pgsizes 0', offer({ pgsizes: 0 })],
    ['write_multiple 1', offer({ write_multiple: 1 })],
    ['N12: migration "23"', offer({ migration: '23' })],
    ['N13: migration.pgsize "foo"', offer({ migration: { pgsize: 'foo' } })],
    ['N14: migration.pgsize 4095', offer({ migration: { pgsize: 4095 } })],
    ['twin_socket true', offer({ twin_socket: true })],
    ['twin_socket.fd_index -1', offer({ twin_socket: { supported: true, fd_index: -1 } })],
    ['twin_socket.supported 1', offer({ twin_socket: { supported: 1 } })],
  ])('refuses %s, ends the connection, and serves the next client', async (_what, body) => {
    await using bench = new Bench();
    const peer = bench.peer();
    expect(await peer.ask({ command: Command.version }, body)).toEqual(errorReply(Command.version, EINVAL));
    await peer.closed;
    expect(bench.device.holds).toBe(0);
    expect(bench.refusals).toHaveLength(1);
    await expect((await bench.client()).info()).resolves.toMatchObject({ regions: 9 });
  });

  it.each([
    'max_msg_fds',
    'max_data_xfer_size',
    'max_dma_maps',
    'pgsizes',
    'write_multiple',
    'migration',
    'migration.pgsize',
    'migration.max_bitmap_size',
    'twin_socket',
    'twin_socket.supported',
  ])('refuses %s as deep as a message allows, in a short line', async (capability) => {
    await using bench = new Bench();
    const [outer, inner] = capability.split('.');
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const levels = Math.floor(16_000 / (open.length + close.length));
      const deep = `${open.repeat(levels)}${open === '[' ? '' : '1'}${close.repeat(levels)}`;
      const value = inner === undefined ? deep : `{"${inner}":${deep}}`;
      const body = version(0, 0, `{"capabilities":{"${outer ?? ''}":${value}}}\0`);
      expect(body.length).toBeLessThanOrEqual(16_384);
      const peer = bench.peer();
      const isObject = inner === undefined && open !== '[' && (outer === 'migration' || outer === 'twin_socket');
      const answer = await peer.ask({ command: Command.version }, body);
      if (isObject) {
        // An object with nothing in it that we know.
        expect(answer?.header.errno).toBe(0);
        peer.close();
        await until(() => bench.device.holder === undefined, 'the end of the client');
        continue;
      }
      expect(answer).toEqual(errorReply(Command.version, EINVAL));
      await peer.closed;
      expect(bench.refusals.at(-1)).toContain(`capabilities.${capability} is an`);
      expect(bench.refusals.at(-1)?.length).toBeLessThan(200);
    }
    await expect((await bench.client()).info()).resolves.toBeDefined();
  });

  it('shows of a long text what fits a line', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    await peer.ask({ command: Command.version }, offer({ max_msg_fds: '\u0001'.repeat(2_000) }));
    await peer.closed;
    expect(bench.refusals.at(-1)?.length).toBeLessThan(600);
  });

  it('reads hostile JSON as data', async () => {
    const text = '{"capabilities":{"__proto__":{"max_data_xfer_size":0},"constructor":1}}\0';
    expect((await accepted(version(0, 0, text))).version.capabilities).toEqual({});
  });

  it.each([
    ['N3: an unknown command', 999],
    ['DEVICE_GET_INFO', Command.deviceGetInfo],
    ['REGION_READ', Command.regionRead],
    ['DEVICE_RESET', Command.deviceReset],
  ])('must be the first message: %s is refused', async (_what, command) => {
    await using bench = new Bench();
    const peer = bench.peer();
    expect(await peer.ask({ command }, words(16, 0, 0, 0, 0))).toEqual(errorReply(command, EINVAL));
    await peer.closed;
    expect(bench.device.resets).toBe(0);
  });

  it('must be a command', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    expect(await peer.ask({ command: Command.version, flags: 1 }, qemu)).toEqual(errorReply(Command.version, EINVAL));
    await peer.closed;
  });

  it('is refused the second time, and the connection goes on', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await expect(client.negotiate()).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(client.info()).resolves.toBeDefined();
  });

  it('carries no file descriptors', async () => {
    await using bench = new Bench();
    const event = eventfd();
    await settle();
    const before = openFiles();
    const peer = bench.peer();
    expect(await peer.ask({ command: Command.version }, qemu, [event.fd])).toEqual(errorReply(Command.version, EINVAL));
    await peer.closed;
    await settle();
    expect(openFiles()).toBe(before);
    event.close();
  });

  it('has not even to be whole for its file descriptors to be gone', async () => {
    await using bench = new Bench();
    const event = eventfd();
    const peer = bench.peer();
    await settle();
    const before = openFiles();
    const message = encodeMessage({ id: 7, command: Command.version }, qemu);
    for (let at = 0; at < 15; ++at) {
      peer.send(message.subarray(at, at + 1), [event.fd, event.fd]);
      await settle(2);
      expect(openFiles()).toBe(before);
    }
    peer.send(message.subarray(15));
    expect(await peer.next()).toEqual(errorReply(Command.version, EINVAL));
    await peer.closed;
    event.close();
  });

  it('N2: is not waited for when it claims to be longer than it can be', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    peer.send(encodeMessage({ id: 7, command: Command.version, size: 1_048_608 + 17 }, qemu));
    expect(await peer.next()).toEqual(errorReply(Command.version, EINVAL));
    await peer.closed;
  });

  it('pipelined with requests behind it is answered before them', async () => {
    await using bench = new Bench();
    const peer = bench.peer();
    peer.send(
      joined(
        encodeMessage({ id: 1, command: Command.version }, qemu),
        encodeMessage({ id: 2, command: Command.deviceGetInfo }, words(16, 0, 0, 0)),
      ),
    );
    expect((await peer.next())?.header).toMatchObject({ id: 1, flags: 1 });
    expect((await peer.next())?.header).toMatchObject({ id: 2, flags: 1 });
  });
});
