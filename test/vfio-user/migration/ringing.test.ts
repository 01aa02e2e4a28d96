/** A guest that rings its ioeventfds is migrated as any other. */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

import { afterEach, describe, expect, it } from 'vitest';

import { reg32, registerBlock, wo } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevDevice,
  MdevRegistry,
  MigrationState as S,
  mmio,
  ParentDevice,
} from '../../../src/mdev/index.ts';
import { type Client, connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { readAll, restored } from '../../mdev/support/migratable.ts';

const COMMAND = 4;
const bar0 = mmio(registerBlock(0x1000, { BELL: reg32(0, { by: wo(31, 0) }), OTHER: reg32(8, { by: wo(31, 0) }) }), {
  ioEventFds: [
    { offset: 0, size: 4, datamatch: 1n },
    { offset: 8, size: 4, datamatch: 1n },
  ],
});

const registries: MdevRegistry[] = [];
afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.close();
});

interface Belfry {
  readonly client: Client;
  readonly device: MdevDevice;
  readonly fds: readonly number[];
  /** What has been heard of each bell. */
  readonly heard: [number, number];
}

/** A device that counts how often each of its two bells was rung. */
async function belfry(): Promise<Belfry> {
  const heard: [number, number] = [0, 0];
  const type = defineMdevType({
    id: 'belfry',
    pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
    regions: { bar0 },
    create: () => ({
      hooks: {
        bar0: {
          BELL: { afterWrite: ({ by }) => void (heard[0] += by) },
          OTHER: { afterWrite: ({ by }) => void (heard[1] += by) },
        },
      },
      quiesce: () => Promise.resolve(),
      resume: () => undefined,
      migration: {
        version: 1,
        save: () => new Uint8Array(Uint32Array.from(heard).buffer),
        restore: (payload) => {
          const [first = 0, second = 0] = new Uint32Array(payload.slice().buffer);
          [heard[0], heard[1]] = [first, second];
        },
      },
    }),
  });
  const registry = new MdevRegistry();
  registries.push(registry);
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: type.id });
  const [near, far] = socketPair();
  serve(device, { fd: far });
  const client = await connect({ fd: near });
  await client.writeRegister(7, COMMAND, 2, 6);
  const { entries } = await client.regionEventFds(0);
  return { client, device, fds: entries.map(({ fd }) => fd ?? -1), heard };
}

function ring(fd: number | undefined, times: bigint): void {
  writeSync(fd ?? -1, new Uint8Array(BigUint64Array.of(times).buffer));
}

const ENDLESS = 0xffff_ffff_ffff_fff0n;

describe('a guest that rings', () => {
  it('has been heard when its device stops, as often as it rang', async () => {
    const { client, fds, heard } = await belfry();
    await using _client = client;
    ring(fds[0], 3000n);
    ring(fds[1], 500n);
    await client.setMigrationState(S.stopCopy);
    expect(heard).toEqual([3000, 500]);
    const target = await belfry();
    await using _target = target.client;
    await restored(target.client, await readAll(client));
    expect(target.heard).toEqual([3000, 500]);
  });

  it('without end moves like any other, and its other bells are heard', async () => {
    const { client, fds, heard } = await belfry();
    await using _client = client;
    ring(fds[0], ENDLESS);
    ring(fds[1], 300n);
    for (const state of [S.preCopy, S.running, S.preCopy, S.stopCopy]) await client.setMigrationState(state);
    expect(heard[1]).toBe(300);
    const target = await belfry();
    await using _target = target.client;
    await restored(target.client, await readAll(client));
    expect([await target.client.migrationState(), target.heard[1]]).toEqual([S.running, 300]);
  });

  it('after its device has stopped is heard when that runs again, and not before', async () => {
    const { client, device, fds, heard } = await belfry();
    await using _client = client;
    ring(fds[0], 2n);
    await client.setMigrationState(S.stopCopy);
    expect(heard).toEqual([2, 0]);
    ring(fds[0], 3n);
    ring(fds[1], 100n);
    expect((await readAll(client)).length).toBeGreaterThan(0);
    // Through states that let it stand still.
    for (const state of [S.stop, S.stopCopy, S.stop]) await client.setMigrationState(state);
    for (let turns = 20; turns > 0; turns--) await client.readRegister(7, COMMAND, 2);
    expect(heard).toEqual([2, 0]);
    await client.setMigrationState(S.running);
    await expect.poll(() => heard).toEqual([5, 100]);
    // Whoever it is that pauses it.
    await device.quiesce();
    ring(fds[1], 1n);
    await client.readRegister(7, COMMAND, 2);
    expect(heard).toEqual([5, 100]);
    device.resume();
    await expect.poll(() => heard).toEqual([5, 101]);
  });

  it('all the while, from a processor that never stops, moves too', async () => {
    const { client, fds, heard } = await belfry();
    await using _client = client;
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const guest = new Worker(
      `const { workerData: { fd, flag } } = require('node:worker_threads');
       const { writeSync } = require('node:fs');
       const one = new Uint8Array(BigUint64Array.of(1n).buffer);
       while (Atomics.load(flag, 0) === 0) writeSync(fd, one);`,
      { eval: true, workerData: { fd: fds[0], flag } },
    );
    try {
      await expect.poll(() => heard[0]).toBeGreaterThan(100);
      for (let migration = 0; migration < 3; migration++) {
        await client.setMigrationState(S.stopCopy);
        expect((await readAll(client)).length).toBeGreaterThan(0);
        await client.setMigrationState(S.running);
      }
    } finally {
      Atomics.store(flag, 0, 1);
      await guest.terminate();
    }
  });
});
