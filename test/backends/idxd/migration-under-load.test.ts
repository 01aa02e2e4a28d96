import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { propertySeed } from '../../support/seed.ts';
import { GuestMemory } from './support/load/guest-memory.ts';
import { migrate } from './support/load/migrate.ts';
import { Random } from './support/load/random.ts';
import { ServerProcess } from './support/load/server-process.ts';
import { firstDifference, VirtualMachine } from './support/load/virtual-machine.ts';

/** More of them in test/deep. */
const MIGRATIONS = Number(process.env['MDEV_MIGRATIONS'] ?? 20);
/** Descriptors that are to be in flight when the device stops. */
const IN_FLIGHT = 1000;
/**
 * A migration before which this process had to wait for a processor, so that engines were through with most of what they had, is made and checked as any
 * other, and does not count; there is another one for it, up to so many times as many in all.
 */
const AT_MOST = 3;

it(`${MIGRATIONS} migrations between two processes under load: everything is done once, and done right`, async () => {
  const random = new Random(propertySeed());
  const directory = mkdtempSync(join(tmpdir(), 'mdev-load-'));
  const memory = new GuestMemory(random, { records: MIGRATIONS * 20_000 });
  const servers = [
    await ServerProcess.start(memory, join(directory, 'a.sock')),
    await ServerProcess.start(memory, join(directory, 'b.sock')),
  ] as const;
  servers[0].bytes.set(memory.expected.subarray(0, memory.size));
  memory.message.set(memory.expected.subarray(memory.size));
  memory.use(servers[0].bytes);
  const machine = new VirtualMachine(memory, servers[0], random);
  await servers[0].attach();
  await machine.bringUp();
  machine.fill();

  const inFlight: number[] = [];
  const loaded = (): number => inFlight.filter((count) => count >= IN_FLIGHT).length;
  while (loaded() < MIGRATIONS && inFlight.length < AT_MOST * MIGRATIONS) {
    inFlight.push(await migrate(machine, servers[inFlight.length % 2 === 0 ? 1 : 0], random));
  }
  await machine.finish();
  const ended = [...machine.ended.values()].reduce((sum, count) => sum + count, 0);
  const range = `${Math.min(...inFlight)} to ${Math.max(...inFlight)}`;
  console.log(`${ended} descriptors in ${inFlight.length} migrations; in flight ${range}`, machine.ended);

  // Nothing has been done twice: records are as the guest has left them, and data as the last descriptor has.
  expect(firstDifference(memory.file, memory.expected.subarray(0, memory.size))).toBe(-1);
  expect(firstDifference(memory.message, memory.expected.subarray(memory.size))).toBe(-1);
  expect(loaded()).toBe(MIGRATIONS);
  const interrupts = machine.expectedInterrupts.map(() => 0);
  for (const server of servers) {
    for (const [vector, one] of server.eventfds.entries()) interrupts[vector] = (interrupts[vector] ?? 0) + one.read();
  }
  expect(interrupts).toEqual(machine.expectedInterrupts);
  expect([await servers[0].end(), await servers[1].end()]).toEqual([0, 0]);
  rmSync(directory, { recursive: true });
});
