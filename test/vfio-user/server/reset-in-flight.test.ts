/** DEVICE_RESET while the device has something under way that nobody ends: it is answered, and holds nobody up. */
import { afterEach, expect, it } from 'vitest';

import { type MdevDevice, MigrationState } from '../../../src/mdev/index.ts';
import { type Client, connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeMessage,
  encodeRegionAccess,
  joined,
  longs,
  words,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { closeRegistries, dsaGuest, encode, Flag } from '../../backends/idxd/support/dsa-guest.ts';
import { counter, type CounterOptions } from '../../mdev/support/migratable.ts';
import { RawPeer } from '../support/raw-peer.ts';

afterEach(closeRegistries);

async function clientOf(device: MdevDevice): Promise<Client> {
  const [near, far] = socketPair();
  serve(device, { fd: near });
  return await connect({ fd: far });
}

/** A device whose `quiesce` does not end before it is told to, and its client. */
async function restless(options: CounterOptions): Promise<{
  readonly device: MdevDevice;
  readonly client: Client;
  readonly begun: Promise<void>;
  readonly end: () => void;
}> {
  const instance = await counter(options);
  let end = (): void => undefined;
  const quiescing = new Promise<void>((resolve) => {
    end = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    Object.defineProperty(instance, 'quiescing', {
      get: () => {
        resolve();
        return quiescing;
      },
    });
  });
  return { device: instance.device, client: await clientOf(instance.device), begun, end };
}

it.each([0, 3])('a DMA request by message that the client never answers, after %i of them were', async (answered) => {
  const guest = await dsaGuest('dsa-cfg-v1');
  guest.bringUp([16]);
  // What it has set up stays for the next client.
  guest.close();
  const [near, far] = socketPair();
  const server = serve(guest.device, { fd: near });
  const peer = new RawPeer(far);
  await peer.negotiate();
  await peer.ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, 0n, 0x10000n)));
  const move = encode({
    opcode: 3,
    flags: Flag.recordValid | Flag.record,
    completion: 0x1000n,
    source: 0x2000n,
    destination: 0x8000n,
    size: 100,
  });
  const portal = encodeRegionAccess({ offset: 0x1000n, region: 2, count: 64 }, move);
  peer.send(encodeMessage({ id: 1, command: Command.regionWrite, flags: MessageFlag.noReply }, portal));
  const reply = (request: { readonly header: { readonly id: number; readonly command: number }; body: Uint8Array }) => {
    const { command, id } = request.header;
    const data = command === Command.dmaRead ? new Uint8Array(100) : new Uint8Array(0);
    peer.send(encodeMessage({ id, command, flags: MessageFlag.reply }, joined(request.body.subarray(0, 16), data)));
  };
  // One read, the write, the record's body, its status.
  let request = await peer.next();
  for (let n = 0; n < answered && request !== undefined; n++) {
    reply(request);
    request = await peer.next();
  }
  if (request === undefined) throw new Error('no request');
  expect(await peer.ask({ command: Command.deviceReset })).toMatchObject({ header: { errno: 0, id: 7 } });
  // The answer comes too late for anything.
  reply(request);
  expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
  expect(guest.device.state).toBe('running');
  expect(peer.received).toEqual([]);
  peer.close();
  await server.closed;
});

it('a quiesce that its client waits for: that one is refused in time, and then the reset is done', async () => {
  const { client, device, end } = await restless({ platform: { answersWithin: 50 } });
  const neighbour = await clientOf((await counter({})).device);
  const order: string[] = [];
  const stopped = client.setMigrationState(MigrationState.stop).catch((error: unknown) => {
    order.push('stop');
    return error;
  });
  const reset = client.reset().then(() => order.push('reset'));
  await neighbour.reset();
  await neighbour.info();
  order.push('neighbour');
  expect(await stopped).toMatchObject({ code: 'ETIMEDOUT' });
  await reset;
  expect(order).toEqual(['neighbour', 'stop', 'reset']);
  expect([device.state, await client.migrationState()]).toEqual(['running', MigrationState.running]);
  end();
  for (const each of [client, neighbour]) await each.close();
});

it('a quiesce that its owner waits for: the reset does not', async () => {
  const { client, device, end } = await restless({});
  const quiesced = device.quiesce();
  await client.reset();
  expect(device.state).toBe('running');
  end();
  await quiesced;
  expect(device.state).toBe('quiesced');
  device.resume();
  await client.close();
});

it('and a reset of the owner ends the stop that the client waits for', async () => {
  const { begun, client, device, end } = await restless({});
  const stopped = client.setMigrationState(MigrationState.stop);
  await begun;
  device.reset();
  end();
  await expect(stopped).rejects.toMatchObject({ code: 'ECANCELED' });
  expect([device.state, await client.migrationState()]).toEqual(['running', MigrationState.running]);
  await client.close();
});
