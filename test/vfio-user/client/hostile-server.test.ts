import fc from 'fast-check';
import { expect, it } from 'vitest';

import { channelOf } from '../../../src/vfio-user/client/client.ts';
import { type Client, connect, memoryFile, VfioError } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeDmaAccess, encodeMessage } from '../../../src/vfio-user/protocol/structures/index.ts';
import { openFiles, settle, until } from '../support/bench.ts';
import { RawPeer } from '../support/raw-peer.ts';

const MIB = 1 << 20;

/** A request of each kind, in the order of their ids. What they get is let go of. */
const requests: readonly [command: number, ask: (client: Client) => Promise<unknown>][] = [
  [Command.version, (client) => client.negotiate({ capabilities: { twin_socket: { supported: true } } })],
  [Command.deviceGetInfo, (client) => client.info()],
  [Command.deviceGetRegionInfo, (client) => client.regionInfo(1)],
  [Command.deviceGetIrqInfo, (client) => client.irqInfo(1)],
  [
    Command.deviceGetRegionIoFds,
    (client) =>
      client.regionEventFds(1).then((fds) => {
        fds[Symbol.dispose]();
      }),
  ],
  [Command.regionRead, (client) => client.readRegion(0, 0, 4)],
  [Command.regionWrite, (client) => client.writeRegion(0, 0, new Uint8Array(4))],
  [Command.deviceSetIrqs, (client) => client.setIrqs({ index: 2 })],
  [Command.dmaMap, (client) => client.dmaMap({ iova: 0n, memory: new Uint8Array(4096) })],
  [Command.dmaUnmap, (client) => client.dmaUnmapDirty({ iova: 0n, size: 4096n }, 4096n)],
  [Command.deviceFeature, (client) => client.feature({ index: 1, get: true, replySize: 8 })],
  [Command.migrationDataRead, (client) => client.readMigrationData(8)],
  [Command.deviceReset, (client) => client.reset()],
];

/** What a server sends at once. */
interface Sending {
  readonly bytes: Uint8Array;
  readonly fds: number;
}

const small = fc.constantFrom(0, 0, 0, 1, 2, 8, 16, 24, 32, 40, 56, 0xff);
/** Small numbers, where fields are: more of it looks right than of noise. */
const body = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.array(small, { maxLength: 20 }).map((words) => new Uint8Array(Uint32Array.from(words).buffer)),
);
const fds = fc.constantFrom(0, 0, 0, 0, 1, 2, 17);
const replies = fc
  .record({ request: fc.nat(requests.length - 1), isError: fc.boolean(), errno: fc.nat(200), body, fds })
  .map(({ body: data, errno, fds: count, isError, request: id }) => ({
    bytes: encodeMessage(
      {
        id,
        command: requests[id]?.[0] ?? 0,
        flags: MessageFlag.reply | (isError ? MessageFlag.error : 0),
        errno: isError ? errno : 0,
      },
      isError ? new Uint8Array(0) : data,
    ),
    fds: count,
  }));
const anything = fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }), fds });
const serverRequests = fc
  .record({ command: fc.nat(20), flags: fc.constantFrom(0, 0x10), body, fds })
  .map(({ body: data, command, fds: count, flags }) => ({
    bytes: encodeMessage({ id: 3, command, flags }, data),
    fds: count,
  }));
const sendings: fc.Arbitrary<Sending> = fc.oneof(
  { weight: 6, arbitrary: replies },
  { weight: 1, arbitrary: anything },
  { weight: 1, arbitrary: serverRequests },
);

it('whatever a server sends, every request ends with a VfioError or an answer, and no descriptor stays', async () => {
  const file = memoryFile(4096);
  await settle();
  const before = openFiles();
  await fc.assert(
    fc.asyncProperty(fc.array(sendings, { maxLength: 20 }), fc.nat(100), async (all, cut) => {
      const [near, far] = socketPair();
      const client = await connect({ fd: near }, { negotiate: false });
      const server = new RawPeer(far);
      const results = Promise.allSettled(requests.map(([, ask]) => ask(client)));
      for (const [index, { bytes, fds: count }] of all.entries()) {
        // The last one is cut anywhere.
        const whole = index < all.length - 1 ? bytes : bytes.subarray(0, 1 + (cut % bytes.length));
        server.send(
          whole,
          Array.from({ length: count }, () => file.fd),
        );
      }
      await settle(2);
      server.close();
      for (const result of await results) {
        if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(VfioError);
      }
      await client.closed;
      await until(() => openFiles() === before, 'closing every descriptor');
    }),
    { numRuns: 300 },
  );
  file.close();
});

/** A client with 1 MiB of memory without a file, and its server. */
async function clientWithMemory(): Promise<{ client: Client; server: RawPeer }> {
  const [near, far] = socketPair();
  const client = await connect({ fd: near }, { negotiate: false });
  const server = new RawPeer(far);
  const mapped = client.dmaMap({ iova: 0n, memory: new Uint8Array(MIB).fill(7) });
  const request = await server.next();
  server.send(encodeMessage({ id: request?.header.id ?? 0, command: Command.dmaMap, flags: MessageFlag.reply }));
  await mapped;
  return { client, server };
}

const dmaRead = (id: number, count = MIB): Uint8Array =>
  encodeMessage({ id, command: Command.dmaRead }, encodeDmaAccess({ address: 0n, count: BigInt(count) }));

it('a server that asks and does not read its answers is not read either, and gets all of them when it does', async () => {
  const { client, server } = await clientWithMemory();
  server.channel.setPaused(true);
  const count = 100;
  for (let id = 0; id < count; ++id) server.send(dmaRead(id));
  let most = 0;
  for (let turns = 0; turns < 300; ++turns) {
    await settle(1);
    most = Math.max(most, channelOf(client).unsent);
  }
  expect(most).toBeGreaterThan(MIB);
  expect(most).toBeLessThan(3 * MIB);
  // What it asks for itself goes out behind that, and is answered in its turn.
  const own = client.reset();
  server.channel.setPaused(false);
  const seen: number[] = [];
  while (seen.length < count) {
    const message = await server.next();
    expect(message).toBeDefined();
    if (message?.header.command === Command.deviceReset) {
      server.send(encodeMessage({ id: message.header.id, command: Command.deviceReset, flags: MessageFlag.reply }));
    } else if (message !== undefined) {
      expect([message.body.length, message.body.at(-1)]).toEqual([16 + MIB, 7]);
      seen.push(message.header.id);
    }
  }
  expect(seen).toEqual(Array.from({ length: count }, (_, id) => id));
  await own;
  await client.close();
  server.close();
});

it('a client that asks for a lot itself goes on reading: two that both do so do not wait for each other', async () => {
  const { client, server } = await clientWithMemory();
  const writes = Array.from({ length: 8 }, () => client.writeRegion(0, 0, new Uint8Array(MIB)));
  await settle();
  expect(channelOf(client).unsent).toBeGreaterThan(3 * MIB);
  server.channel.setPaused(true);
  // It is heard although much waits to be sent.
  server.send(dmaRead(1, 8));
  const unsent = channelOf(client).unsent;
  await until(() => channelOf(client).unsent > unsent, 'the answer');
  server.close();
  await Promise.allSettled(writes);
  await client.close();
});

it('a server that asks, reads nothing and hangs up leaves nothing behind', async () => {
  const { client, server } = await clientWithMemory();
  server.channel.setPaused(true);
  for (let id = 0; id < 20; ++id) server.send(dmaRead(id));
  await until(() => channelOf(client).unsent > MIB, 'the limit');
  server.close();
  await client.closed;
  expect(channelOf(client).unsent).toBe(0);
});
