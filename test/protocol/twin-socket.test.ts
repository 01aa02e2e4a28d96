import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';

import { memoryFile } from '../../src/vfio-user/index.ts';
import { Command, MessageFlag } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeDmaAccess,
  encodeDmaAccess,
  encodeMessage,
  joined,
  longs,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { readVersion, writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle } from '../vfio-user/support/bench.ts';
import { RawPeer, type Received } from '../vfio-user/support/raw-peer.ts';

const { ECANCELED } = constants.errno;
const PAGE = 4096n;

/** A client with the twin socket and one page without a file at 0. */
async function twins(bench: Bench, maxTransfer = 1 << 20): Promise<{ main: RawPeer; twin: RawPeer }> {
  const main = bench.peer();
  const capabilities = { twin_socket: { supported: true }, max_msg_fds: 1, max_data_xfer_size: maxTransfer };
  const answer = await main.ask({ command: Command.version }, writeVersion({ major: 0, minor: 0, capabilities }));
  const version = readVersion(answer?.body ?? new Uint8Array(0));
  if ('problem' in version) throw new Error(version.problem);
  expect(version.capabilities.twin_socket).toEqual({ supported: true, fd_index: 0 });
  expect(answer?.fds).toHaveLength(1);
  const [fd = -1] = main.takeFds();
  expect(fstatSync(fd).isSocket()).toBe(true);
  const twin = bench.own(new RawPeer(fd));
  await main.ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, 0n, PAGE)));
  return { main, twin };
}

function transfer(bench: Bench, write: boolean, buffer: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    expect(bench.device.core.dmaTransfer(write, 0n, buffer, resolve)).toBe(0);
  });
}

function answerTo(request: Received | undefined, data = new Uint8Array(0)): Uint8Array {
  const access = request === undefined ? undefined : decodeDmaAccess(request.body);
  if (request === undefined || access === undefined) throw new Error('no request');
  const { id, command } = request.header;
  return encodeMessage({ id, command, flags: MessageFlag.reply }, encodeDmaAccess(access, data));
}

describe('the twin socket', () => {
  it('H2: carries one DMA_WRITE and one DMA_READ, and nothing goes over the other one', async () => {
    await using bench = new Bench();
    const { main, twin } = await twins(bench);
    const wrote = transfer(bench, true, new Uint8Array(64).fill(0x5a));
    const write = await twin.next();
    expect(write?.header).toMatchObject({ command: Command.dmaWrite, flags: MessageFlag.command });
    expect(write?.body).toEqual(joined(longs(0n, 64n), new Uint8Array(64).fill(0x5a)));
    twin.send(answerTo(write));
    expect(await wrote).toBe(0);
    const buffer = new Uint8Array(64);
    const read = transfer(bench, false, buffer);
    const request = await twin.next();
    expect(request?.header.command).toBe(Command.dmaRead);
    twin.send(answerTo(request, new Uint8Array(64).fill(7)));
    expect(await read).toBe(0);
    expect(buffer).toEqual(new Uint8Array(64).fill(7));
    expect(main.received).toEqual([]);
    expect(twin.received).toEqual([]);
  });

  it('H2: carries nothing for memory that is mapped, and the data is in the file', async () => {
    await using bench = new Bench();
    const { main, twin } = await twins(bench);
    const file = memoryFile(4096);
    await main.ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, PAGE, PAGE)), [file.fd]);
    const bytes = new Uint8Array(file.buffer);
    expect(bench.device.core.dmaWrite(PAGE + 8n, new Uint8Array(64).fill(0x5a))).toBe(0);
    expect(bytes.subarray(7, 73)).toEqual(Uint8Array.of(0, ...new Uint8Array(64).fill(0x5a), 0));
    bytes.fill(7, 8, 72);
    const buffer = new Uint8Array(64);
    expect(bench.device.core.dmaRead(PAGE + 8n, buffer)).toBe(0);
    expect(buffer).toEqual(new Uint8Array(64).fill(7));
    // What was sent would be here before this answer.
    expect((await main.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
    await settle();
    expect([main.received, twin.received]).toEqual([[], []]);
    file.close();
  });

  it('H3: transfers are split at the client’s max_data_xfer_size', async () => {
    await using bench = new Bench();
    const { twin } = await twins(bench, 1024);
    const data = Uint8Array.from({ length: 2 * 1024 + 42 }, (_, index) => index);
    const wrote = transfer(bench, true, data);
    for (const [start, size] of [
      [0, 1024],
      [1024, 1024],
      [2048, 42],
    ] as const) {
      const request = await twin.next();
      expect(request?.body).toEqual(joined(longs(BigInt(start), BigInt(size)), data.slice(start, start + size)));
      twin.send(answerTo(request));
    }
    expect(await wrote).toBe(0);
  });

  // The C implementation passes the client's errno on. Here a device sees one kind of refusal, EFAULT, whether memory is not there or its client says no: an errno of the
  // client's choice would let it speak for the device's own resources (ENOMEM, EBUSY) or its end (ECANCELED).
  it('H4: an error of the client ends the transfer, not the connection', async () => {
    await using bench = new Bench();
    const { main, twin } = await twins(bench);
    const read = transfer(bench, false, new Uint8Array(64));
    const request = await twin.next();
    const { id = 0 } = request?.header ?? {};
    const flags = MessageFlag.reply | MessageFlag.error;
    twin.send(encodeMessage({ id, command: Command.dmaRead, flags, errno: constants.errno.EIO }));
    expect(await read).toBe(constants.errno.EFAULT);
    expect((await main.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
  });

  it.each([
    ['a command', encodeMessage({ id: 1, command: Command.deviceGetInfo }, words(16, 0, 0, 0))],
    ['a reply to nothing', encodeMessage({ id: 1, command: Command.dmaRead, flags: 1 }, longs(0n, 0n))],
    ['a message without a size', encodeMessage({ id: 1, command: Command.dmaRead, flags: 1, size: 3 })],
    ['a message that is too long', encodeMessage({ id: 1, command: Command.dmaRead, flags: 1, size: 0xffff_ffff })],
  ])('ends the connection when the client sends %s there', async (_what, bytes) => {
    await using bench = new Bench();
    const { main, twin } = await twins(bench);
    twin.send(bytes);
    await Promise.all([main.closed, twin.closed]);
    expect(bench.disconnections).toHaveLength(1);
    await bench.client();
  });

  it('takes no reply on the other socket', async () => {
    await using bench = new Bench();
    const { main, twin } = await twins(bench);
    const read = transfer(bench, false, new Uint8Array(64));
    main.send(answerTo(await twin.next(), new Uint8Array(64)));
    await main.closed;
    expect(await read).toBe(ECANCELED);
  });

  it('ends with the connection, and the connection with it, and both leave nothing open', async () => {
    await using bench = new Bench();
    await settle();
    const before = openFiles();
    for (const which of ['main', 'twin'] as const) {
      const both = await twins(bench);
      both[which].close();
      await both[which === 'main' ? 'twin' : 'main'].closed;
      both.main.close();
      await settle();
      expect(openFiles()).toBe(before);
    }
  });

  it('is not offered when the operator forbids it', async () => {
    await using bench = new Bench({ twinSocket: false });
    const answer = await bench
      .peer()
      .ask(
        { command: Command.version },
        writeVersion({ major: 0, minor: 0, capabilities: { twin_socket: { supported: true } } }),
      );
    expect(answer?.fds).toBeUndefined();
    expect(readVersion(answer?.body ?? new Uint8Array(0))).toMatchObject({ capabilities: {} });
  });
});
