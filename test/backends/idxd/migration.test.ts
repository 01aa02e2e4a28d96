import { afterEach, expect, test } from 'vitest';

import { MigrationState } from '../../../src/mdev/index.ts';
import { readAll, restored, saved } from '../../mdev/support/migratable.ts';
import { closeRegistries, dsaGuest, type DsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, INTCAUSE, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

const LARGE_AT = 0x1_0000_0000n;
const LARGE = 0x200_0000;
const MOVES = 30;
const RECORD = MEMORY_AT + 0x3f_0000n;
const flags = Flag.recordValid | Flag.record | Flag.interrupt;

/** Moves of 32 MiB, and a no-op that leaves a record and interrupts. */
function load(guest: DsaGuest): void {
  const move = { opcode: 3, source: LARGE_AT, destination: LARGE_AT + BigInt(LARGE) + 0x20_0000n, size: LARGE };
  for (let index = 0; index < MOVES; index++) guest.submit(0, move, 1);
  guest.submit(0, { opcode: 0, flags, completion: RECORD, handle: 1 });
}

test('queues, descriptors under way and the command that waits for them go to another device', async () => {
  const source = await dsaGuest('dsa-cfg-v1');
  const destination = await dsaGuest('dsa-cfg-v1');
  for (const guest of [source, destination]) guest.mapAgain(LARGE_AT, 3 * LARGE);
  source.bringUp([64], 1n);
  load(source);
  source.write32(CMD, (0x8000_0000 | (Code.disableWq << 20) | 1) >>> 0);
  expect(source.read32(CMDSTATUS)).toBe(ACTIVE);

  const stream = await saved(source.session);
  expect([source.status(RECORD), source.vectors[1]?.read()]).toEqual([0, 0]);
  // What is submitted there before is reset.
  destination.bringUp([32], 1n);
  const done = destination.interrupt(1);
  const commandDone = destination.interrupt(0);
  await restored(destination.session, stream);
  await Promise.all([done, commandDone]);
  expect([destination.status(RECORD), source.status(RECORD)]).toEqual([1, 0]);
  expect([destination.read32(CMDSTATUS), destination.read32(INTCAUSE)]).toEqual([0, 2]);
  expect([destination.read32(wqcfg(0)), destination.read32(wqcfg(0) + 24)]).toEqual([64, 0]);
  // It goes on working.
  expect(destination.command(Code.enableWq, 0)).toBe(0);
  const again = destination.interrupt(1);
  destination.submit(0, { opcode: 0, flags, completion: RECORD + 32n, handle: 1 });
  await again;
  expect(destination.status(RECORD + 32n)).toBe(1);
});

test('a device that differs is refused, and a damaged stream leaves the destination as it was', async () => {
  const source = await dsaGuest('dsa-cfg-v1');
  source.mapAgain(LARGE_AT, 3 * LARGE);
  source.bringUp([64], 1n);
  load(source);
  const stream = await saved(source.session);
  const other = await dsaGuest('dsa-cfg-v1', { maxBatchShift: 5 });
  await expect(restored(other.session, stream)).rejects.toThrow('maxBatchShift');

  const destination = await dsaGuest('dsa-cfg-v1');
  destination.bringUp([32], 1n);
  const { session } = destination;
  await session.setMigrationState(MigrationState.resuming);
  await session.writeMigrationData(stream.subarray(0, -40));
  await expect(session.setMigrationState(MigrationState.running)).rejects.toThrow();
  expect(await readAll(source.session)).toHaveLength(0);
});
