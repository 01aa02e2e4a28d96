import { afterEach, expect, test } from 'vitest';

import { CONFIG, closeRegistries, dsaGuest, type DsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, GENSTS, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

const LARGE_AT = 0x1_0000_0000n;
const LARGE = 0x200_0000;
const RECORDS = MEMORY_AT + 0x3f_0000n;
const flags = Flag.recordValid | Flag.record | Flag.interrupt;

/** Moves of 32 MiB, the last of which leaves a record and interrupts. */
function load(guest: DsaGuest, count: number): void {
  guest.mapAgain(LARGE_AT, 3 * LARGE);
  const move = { opcode: 3, source: LARGE_AT, destination: LARGE_AT + BigInt(LARGE) + 0x20_0000n, size: LARGE };
  for (let index = 1; index < count; index++) guest.submit(0, move, 1);
  guest.submit(0, { ...move, flags, completion: RECORDS, handle: 1 }, 1);
}

const occupancy = (guest: DsaGuest): number => guest.read32(wqcfg(0) + 24) & 0xffff;

test('a quiesced device stands still, and goes on where it was', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  guest.bringUp([64], 1n);
  load(guest, 30);
  await guest.device.quiesce();
  expect(guest.device.state).toBe('quiesced');
  const before = occupancy(guest);
  expect(before).toBeGreaterThan(0);
  guest.memory.fill(0x5a, 0, 0x3e_0000);
  // The guest may submit, and command.
  guest.submit(0, { opcode: 0, flags, completion: RECORDS + 32n, handle: 1 });
  guest.write32(CMD, Code.drainAll << 20);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([occupancy(guest), guest.read32(CMDSTATUS), guest.status(RECORDS)]).toEqual([before + 1, ACTIVE, 0]);
  expect(guest.memory.subarray(0, 0x3e_0000).every((byte) => byte === 0x5a)).toBe(true);
  guest.device.resume();
  while (guest.status(RECORDS + 32n) === 0) await guest.interrupt(1);
  while (guest.read32(CMDSTATUS) !== 0) await new Promise(setImmediate);
  expect([guest.status(RECORDS), guest.status(RECORDS + 32n), occupancy(guest)]).toEqual([1, 1, 0]);
});

test('a quiesced device can be reset, and used when it was resumed', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  guest.bringUp([64], 1n);
  load(guest, 30);
  await guest.device.quiesce();
  guest.device.reset();
  guest.write16(4, 6, CONFIG);
  expect([guest.read32(GENSTS), occupancy(guest)]).toEqual([0, 0]);
  guest.device.resume();
  guest.bringUp([64], 1n);
  const completed = guest.interrupt(1);
  guest.submit(0, { opcode: 0, flags, completion: RECORDS + 32n, handle: 1 });
  await completed;
  expect([guest.status(RECORDS), guest.status(RECORDS + 32n)]).toEqual([0, 1]);
});
