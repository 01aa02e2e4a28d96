import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { VfioRegion } from '../../../src/mdev/index.ts';
import { GuestMemory } from '../../backends/idxd/support/load/guest-memory.ts';
import { Random } from '../../backends/idxd/support/load/random.ts';
import { ServerProcess } from '../../backends/idxd/support/load/server-process.ts';
import { firstDifference, VirtualMachine } from '../../backends/idxd/support/load/virtual-machine.ts';
import { propertySeed } from '../../support/seed.ts';

const HANDOVERS = Number(process.env['MDEV_HANDOVERS'] ?? 10);
const DSA = 0x0b25_8086;

it(`${HANDOVERS} servers after one another for one client under load: everything is done once, and done right`, async () => {
  const random = new Random(propertySeed());
  const directory = mkdtempSync(join(tmpdir(), 'mdev-handover-'));
  const memory = new GuestMemory(random, { records: HANDOVERS * 40_000 });
  const server = await ServerProcess.start(memory, join(directory, 'a.sock'));
  server.bytes.set(memory.expected.subarray(0, memory.size));
  memory.message.set(memory.expected.subarray(memory.size));
  memory.use(server.bytes);
  const machine = new VirtualMachine(memory, server, random);
  await server.attach();
  await machine.bringUp();
  machine.fill();

  const inFlight: number[] = [];
  let asked = 0;
  let answered = 0;
  for (let handover = 0; handover < HANDOVERS; handover++) {
    if (random.oneIn(2)) machine.beginDrain();
    machine.beginHalves();
    const replaced = { yet: false };
    const replacing = server.replace().finally(() => {
      replaced.yet = true;
    });
    // The client goes on meanwhile: requests without a pause, in whatever pieces the socket takes them.
    while (!replaced.yet) {
      machine.look();
      machine.fill();
      for (let reads = random.below(40); reads > 0; reads--) {
        asked++;
        void server.client.readRegister(VfioRegion.config, 0, 4).then((value) => {
          if (value === DSA) answered++;
        });
      }
      inFlight.push(machine.inFlight);
      await turn();
    }
    await replacing;
    machine.endHalves();
    await machine.endDrain();
  }
  await machine.finish();
  const ended = [...machine.ended.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${ended} descriptors; up to ${Math.max(...inFlight)} in flight; ${asked} reads`);

  expect(answered).toBe(asked);
  // Nothing has been done twice: records are as the guest has left them, and data as the last descriptor has.
  expect(firstDifference(memory.file, memory.expected.subarray(0, memory.size))).toBe(-1);
  expect(firstDifference(memory.message, memory.expected.subarray(memory.size))).toBe(-1);
  expect(server.eventfds.map((one) => one.read())).toEqual(machine.expectedInterrupts);
  expect(await server.end()).toBe(0);
  rmSync(directory, { recursive: true });
});
