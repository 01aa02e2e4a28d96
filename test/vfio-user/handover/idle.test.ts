import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { GuestMemory } from '../../backends/idxd/support/load/guest-memory.ts';
import { Random } from '../../backends/idxd/support/load/random.ts';
import { ServerProcess } from '../../backends/idxd/support/load/server-process.ts';
import { VirtualMachine } from '../../backends/idxd/support/load/virtual-machine.ts';
import { propertySeed } from '../../support/seed.ts';

it('a server is replaced while its queues are enabled and have nothing to do', async () => {
  const random = new Random(propertySeed());
  const directory = mkdtempSync(join(tmpdir(), 'mdev-handover-'));
  const memory = new GuestMemory(random, { records: 60_000 });
  const server = await ServerProcess.start(memory, join(directory, 'a.sock'));
  server.bytes.set(memory.expected.subarray(0, memory.size));
  memory.message.set(memory.expected.subarray(memory.size));
  memory.use(server.bytes);
  const machine = new VirtualMachine(memory, server, random);
  await server.attach();
  await machine.bringUp();
  for (let round = 0; round < 3; round++) {
    await server.replace();
    machine.fill();
    await machine.finish();
    expect(server.eventfds.map((one) => one.read())).toEqual(machine.expectedInterrupts);
    machine.expectedInterrupts.fill(0);
  }
  expect(await server.end()).toBe(0);
  rmSync(directory, { recursive: true });
});
