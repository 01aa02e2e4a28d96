/** A client lets its memory take as long as it likes, with an engine in it. Its own requests wait for that; the thread, and all else that it serves, do not. */
import { fstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { type MdevDevice, MigrationState } from '../../../src/mdev/index.ts';
import { memoryFile, type MemoryFile } from '../../../src/native/binding.ts';
import { type Client, connect, serve, type Server } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import {
  closeRegistries,
  CONFIG,
  type DsaGuest,
  dsaGuest,
  encode,
  Flag,
} from '../../backends/idxd/support/dsa-guest.ts';
import { SlowMemory } from '../support/slow-memory.ts';

const SLOW_AT = 0x8000_0000n;
const SLOW_SIZE = 0x1_0000;
const COMMAND = 4;
const BUS_MASTER_OFF = 2;
/** DEVCTL of the PCI Express capability: initiate FLR. */
const FLR = 0x8000;

const slow = new SlowMemory();
let file: MemoryFile;
let guest: DsaGuest;

beforeEach(async () => {
  file = memoryFile(SLOW_SIZE);
  guest = await dsaGuest('dsa-cfg-v1');
  guest.bringUp([16]);
});
afterEach(async () => {
  slow.release();
  await closeRegistries();
  file.close();
});

/** A move into the slow memory, as a portal takes it. */
const move = encode({
  opcode: 3,
  flags: Flag.recordValid | Flag.record,
  completion: SLOW_AT + 0x8000n,
  source: SLOW_AT,
  destination: SLOW_AT + 0x1000n,
  size: 100,
});

async function clientOf(device: MdevDevice): Promise<{ readonly client: Client; readonly server: Server }> {
  const [near, far] = socketPair();
  const server = serve(device, { fd: near });
  return { server, client: await connect({ fd: far }) };
}

/** What is done with a device that is mapped, and has an engine at work in that memory. */
interface Slow {
  writeRegion(region: number, offset: number, data: Uint8Array, options: { readonly posted: boolean }): Promise<void>;
  dmaMap(request: { readonly iova: bigint; readonly size: bigint; readonly file: MemoryFile }): Promise<void>;
}
async function stall(device: Slow): Promise<void> {
  await device.dmaMap({ iova: SLOW_AT, size: BigInt(SLOW_SIZE), file });
  slow.hold(file.fd);
  await device.writeRegion(2, 0x1000, move, { posted: true });
  await slow.touched();
}

/** Where DEVCTL is in config space. */
async function deviceControl(client: Client): Promise<number> {
  const bytes = Buffer.from(await client.readRegion(CONFIG, 0, 256));
  let at = bytes.readUInt8(0x34);
  while (bytes.readUInt8(at) !== 0x10) at = bytes.readUInt8(at + 1);
  return at + 8;
}

/** Mappings and descriptors that this process has of the slow memory. */
function uses(): { readonly maps: number; readonly fds: number } {
  const { ino } = fstatSync(file.fd);
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const fds = readdirSync('/proc/self/fd').filter((fd) => {
    return statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false })?.ino === ino;
  });
  return { maps: lines.filter((line) => line.includes(` ${String(ino)} `)).length, fds: fds.length };
}

const requests: Record<string, (client: Client, deviceControlAt: number) => Promise<unknown>> = {
  DMA_UNMAP: (client) => client.dmaUnmap({ iova: SLOW_AT, size: BigInt(SLOW_SIZE) }),
  'DMA_UNMAP of all': (client) => client.dmaUnmapAll(),
  DEVICE_RESET: (client) => client.reset(),
  'bus master off': (client) => client.writeRegion(CONFIG, COMMAND, Uint8Array.of(BUS_MASTER_OFF, 0)),
  'a function-level reset': (client, at) => client.writeRegion(CONFIG, at + 1, Uint8Array.of(FLR >> 8)),
  'the start of a dirty log': (client) => client.dmaLoggingStart(4096n),
  'the stop of a device': (client) => client.setMigrationState(MigrationState.stop),
};

it.each(Object.keys(requests))('%s waits for it, and nobody else does', async (name) => {
  guest.close();
  const other = await dsaGuest('dsa-1dwq-v1');
  other.close();
  const neighbour = await clientOf(other.device);
  const { client } = await clientOf(guest.device);
  const at = await deviceControl(client);
  await stall(client);
  const order: string[] = [];
  const done = requests[name]?.(client, at).then(() => order.push('done'));
  const behind = client.readRegion(CONFIG, 0, 4).then(() => order.push('behind'));
  // Many turns of the event loop, with a neighbour that is answered in each.
  for (let n = 0; n < 20; n++) {
    await neighbour.client.readRegion(0, 0, 4);
    await setTimeout(1);
  }
  order.push('neighbour');
  slow.release();
  await Promise.all([done, behind]);
  expect(order[0]).toBe('neighbour');
  expect(order).toHaveLength(3);
  await client.close();
  await neighbour.client.close();
});

it('the end of a client waits for it: another one gets the device then, and nothing is left', async () => {
  guest.close();
  const before = uses();
  const { client, server } = await clientOf(guest.device);
  await stall(client);
  expect(uses()).toEqual({ maps: before.maps + 1, fds: before.fds + 1 });
  let closed = false;
  const ended = server.close().then(() => (closed = true));
  await client.close();
  await setTimeout(20);
  expect([closed, guest.device.attachment === undefined]).toEqual([false, false]);
  expect(() => guest.device.attach({ name: 'next' })).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  slow.release();
  await ended;
  const attachment = guest.device.attach({ name: 'next' });
  attachment.detach();
  await expect.poll(uses).toEqual(before);
});

const sessionRequests: Record<string, (own: DsaGuest) => Promise<unknown>> = {
  dmaUnmap: ({ session }) => session.dmaUnmap({ iova: SLOW_AT, size: BigInt(SLOW_SIZE) }),
  dmaUnmapAll: ({ session }) => session.dmaUnmapAll(),
  reset: ({ session }) => session.reset(),
  writeRegion: ({ session }) => session.writeRegion(CONFIG, COMMAND, Uint8Array.of(BUS_MASTER_OFF, 0)),
  feature: ({ session }) => session.dmaLoggingStart(4096n),
  setMigrationState: ({ session }) => session.setMigrationState(MigrationState.stop),
  close: ({ session }) => session.close(),
  'the close of the instance': ({ device }) => device.close(),
  quiesce: ({ device }) => device.quiesce(),
};

it.each(Object.keys(sessionRequests))('in this process, %s gives the thread back', async (name) => {
  await stall(guest.session);
  let done = false;
  const asked = sessionRequests[name]?.(guest).then(() => (done = true));
  for (let n = 0; n < 20; n++) await setTimeout(1);
  expect(done).toBe(false);
  slow.release();
  await asked;
});
