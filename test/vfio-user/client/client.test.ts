import { describe, expect, it } from 'vitest';

import { duplicateFd } from '../../../src/native/binding.ts';
import { channelOf } from '../../../src/vfio-user/client/client.ts';
import { connect, memoryFile, VfioError } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, encodeRegionAccess, joined, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../support/bench.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { LARGE_REGION, Offset } from '../support/test-device.ts';

/** A client and the hand-written server at its other end. */
async function facing(): Promise<{ client: Awaited<ReturnType<typeof connect>>; server: RawPeer }> {
  const [near, far] = socketPair();
  return { client: await connect({ fd: near }, { negotiate: false }), server: new RawPeer(far) };
}

describe('a client', () => {
  it('does what a VMM does', async () => {
    await using bench = new Bench();
    const client = await bench.connect();
    const version = await client.negotiate();
    expect(version).toMatchObject({ major: 0, minor: 1, capabilities: { max_msg_fds: 16 } });
    expect(await client.info()).toMatchObject({ regions: 9 });
    const file = memoryFile(8192);
    await client.dmaMap({ iova: 0n, size: 8192n, file });
    await client.writeRegister(0, Offset.control, 4, 5);
    expect(await client.readRegister(0, Offset.control, 4)).toBe(5);
    await client.dmaUnmap({ iova: 0n, size: 8192n });
    await client.reset();
    file.close();
  });

  it('pipelines: a thousand requests are answered in order', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    let reads = 0;
    bench.device.onRead = () => ++reads;
    const values = await Promise.all(Array.from({ length: 1000 }, () => client.readRegister(0, Offset.hooked, 4)));
    expect(values).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1));
  });

  it('splits what is larger than a message', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    await client.writeRegion(LARGE_REGION, 0, new Uint8Array(3_000_000));
    expect(await client.readRegion(LARGE_REGION, 1, 3_000_001)).toHaveLength(3_000_001);
    expect(bench.device.core.statistics()).toMatchObject({ refused: 0 });
  });

  it('names the errno and the command of a refusal', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const error: unknown = await client.regionInfo(9).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(VfioError);
    expect(error).toMatchObject({
      code: 'EINVAL',
      errno: 22,
      request: 'deviceGetRegionInfo',
      message: 'deviceGetRegionInfo was refused with EINVAL',
    });
  });

  it('says why it cannot connect', async () => {
    await expect(connect({ socketPath: '/nonexistent/device.sock' })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(connect({ socketPath: `/${'x'.repeat(200)}` })).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
    const file = memoryFile(4096);
    await expect(connect({ fd: duplicateFd(file.fd) })).rejects.toMatchObject({ code: 'EINVAL' });
    file.close();
  });

  it('rejects what is under way when the server hangs up', async () => {
    const { client, server } = await facing();
    const requests = [client.info(), client.readRegister(0, 0, 4), client.negotiate()];
    await server.next();
    server.close();
    for (const result of await Promise.allSettled(requests)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ECONNRESET' } });
    }
    await client.closed;
    expect(client.isOpen).toBe(false);
    expect(() => {
      channelOf(client).send(new Uint8Array(1));
    }).toThrow(VfioError);
  });

  it.each<[string, (id: number) => Uint8Array, string]>([
    ['a short body', (id) => encodeMessage({ id, command: Command.deviceGetInfo, flags: 1 }, words(16)), 'EPROTO'],
    ['another command', (id) => encodeMessage({ id, command: Command.deviceReset, flags: 1 }), 'EPROTO'],
    ['another id', (id) => encodeMessage({ id: id + 1, command: Command.deviceGetInfo, flags: 1 }), 'EPROTO'],
    ['a size of 3', (id) => encodeMessage({ id, command: Command.deviceGetInfo, flags: 1, size: 3 }), 'ECONNRESET'],
    [
      'an unknown errno',
      (id) => encodeMessage({ id, command: Command.deviceGetInfo, flags: 0x21, errno: 4000 }),
      'errno 4000',
    ],
  ])('does not believe a reply with %s', async (_what, reply, code) => {
    const { client, server } = await facing();
    const request = client.info();
    const message = await server.next();
    server.send(reply(message?.header.id ?? 0));
    await expect(request).rejects.toMatchObject({ code });
    await client.close();
    server.close();
  });

  it('does not believe a region reply about something else', async () => {
    const wrong = [
      encodeRegionAccess({ offset: 8n, region: 0, count: 4 }, new Uint8Array(4)),
      encodeRegionAccess({ offset: 4n, region: 1, count: 4 }, new Uint8Array(4)),
      encodeRegionAccess({ offset: 4n, region: 0, count: 8 }, new Uint8Array(4)),
      encodeRegionAccess({ offset: 4n, region: 0, count: 4 }, new Uint8Array(3)),
      encodeRegionAccess({ offset: 4n, region: 0, count: 4 }, new Uint8Array(5)),
      new Uint8Array(15),
    ];
    for (const body of wrong) {
      const { client, server } = await facing();
      const read = client.readRegister(0, 4, 4);
      const other = client.info();
      const message = await server.next();
      server.send(encodeMessage({ id: message?.header.id ?? 0, command: Command.regionRead, flags: 1 }, body));
      // Whoever sends this cannot be believed about anything else.
      await expect(read).rejects.toMatchObject({ code: 'EPROTO', request: 'regionRead' });
      await expect(other).rejects.toMatchObject({ code: 'EPROTO', request: 'deviceGetInfo' });
      await expect(client.reset()).rejects.toMatchObject({ code: 'EPROTO' });
      await client.close();
      server.close();
    }
  });

  it('refuses a version that it does not understand', async () => {
    for (const body of [
      new Uint8Array(2),
      writeVersion({ major: 1, minor: 0, capabilities: {} }),
      joined(new Uint8Array(4), new TextEncoder().encode('{')),
    ]) {
      const { client, server } = await facing();
      const negotiation = client.negotiate();
      await server.next();
      server.send(encodeMessage({ id: 0, command: Command.version, flags: 1 }, body));
      await expect(negotiation).rejects.toMatchObject({ code: 'EPROTO' });
      await client.close();
      server.close();
    }
  });

  it('answers requests about memory that it does not have with an error, and unknown ones too', async () => {
    const { client, server } = await facing();
    const refused = { flags: MessageFlag.reply | MessageFlag.error };
    for (const [command, body] of [
      [Command.dmaRead, new Uint8Array(16).fill(1)],
      [Command.dmaRead, new Uint8Array(3)],
      [Command.dmaWrite, new Uint8Array(17)],
      [Command.deviceReset, new Uint8Array(0)],
    ] as const) {
      const reply = await server.ask({ command }, body);
      expect(reply?.header).toMatchObject(refused);
      expect(reply?.header.errno).toBeGreaterThan(0);
    }
    await client.close();
    server.close();
  });

  it('lets the device do with memory what it was given it for', async () => {
    await using bench = new Bench();
    const client = await bench.client();
    const [input, output] = [new Uint8Array(4096).fill(1), new Uint8Array(4096).fill(2)];
    await client.dmaMap({ iova: 0n, memory: input, access: 'r' });
    await client.dmaMap({ iova: 4096n, memory: output, access: 'w' });
    const move = (write: boolean, address: bigint, buffer: Uint8Array): Promise<number> =>
      new Promise((resolve) => bench.device.core.dmaTransfer(write, address, buffer, resolve));
    const buffer = new Uint8Array(8);
    expect(await move(false, 0n, buffer)).toBe(0);
    expect(buffer).toEqual(new Uint8Array(8).fill(1));
    expect(await move(true, 4096n, buffer)).toBe(0);
    expect(output.subarray(0, 9)).toEqual(Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 1, 2));
    expect(await move(true, 0n, buffer)).not.toBe(0);
    expect(await move(false, 4096n, buffer)).not.toBe(0);
    // Across the border there is a byte without the right: nothing of it is written.
    expect(await move(true, 4092n, buffer)).not.toBe(0);
    expect(input.every((byte) => byte === 1)).toBe(true);
    await client.dmaUnmap({ iova: 0n, size: 8192n });
    expect(await move(false, 0n, buffer)).not.toBe(0);
  });

  it.each<[string, Uint8Array, number]>([
    ['with a reply', encodeMessage({ id: 0, command: Command.deviceGetInfo, flags: 1 }, words(16, 2, 9, 5)), 1],
    ['with a refusal', encodeMessage({ id: 0, command: Command.deviceGetInfo, flags: 0x21, errno: 22 }), 1],
    ['with a request', encodeMessage({ id: 0, command: Command.dmaRead }, new Uint8Array(16)), 16],
    ['with a reply to nothing', encodeMessage({ id: 9, command: Command.deviceReset, flags: 1 }), 3],
  ])('takes no file descriptors that nobody asked for, and keeps none (%s)', async (_how, message, count) => {
    const file = memoryFile(4096);
    await settle();
    const before = openFiles();
    const { client, server } = await facing();
    const requests = [client.info(), client.reset()];
    await server.next();
    server.send(
      message,
      Array.from({ length: count }, () => file.fd),
    );
    for (const result of await Promise.allSettled(requests)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'EPROTO' } });
    }
    await client.closed;
    server.close();
    await until(() => openFiles() === before, 'closing every descriptor');
    file.close();
  });
});
