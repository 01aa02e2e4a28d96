import { afterEach, expect, test } from 'vitest';

import { MigrationState, VfioIrq } from '../../../src/mdev/index.ts';
import { readAll, restored, saved } from '../../mdev/support/migratable.ts';
import { changed } from '../../mdev/support/stream-parts.ts';
import { closeRegistries, dsaGuest, type DsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, GENCTRL, INTCAUSE, msixEntry, SWERROR, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

const LARGE_AT = 0x1_0000_0000n;
const LARGE = 0x200_0000;
const MOVES = 30;
/** That they take on a busy machine. */
const LONG = { timeout: 10_000 };
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

/** All that a guest can read: config space, and BAR0 with the MSI-X table and the pending bits. */
function visible(guest: DsaGuest): readonly Uint8Array[] {
  const { sync } = guest.session;
  return [sync.readRegion(7, 0, 256), sync.readRegion(0, 0, guest.device.regions[0]?.size ?? 0)];
}

/** A device with something in every register that a guest can change, and in every part of its state. */
async function busy(): Promise<DsaGuest> {
  const guest = await dsaGuest('dsa-cfg-v1');
  guest.mapAgain(LARGE_AT, 3 * LARGE);
  guest.write32(GENCTRL, 3);
  // One engine: what it does last stays.
  guest.bringUp([48, 16], 1n);
  for (let vector = 0; vector < 3; vector++) {
    guest.write32(msixEntry(vector), 0xfee0_0000 + vector);
    guest.write32(msixEntry(vector) + 8, 0x40 + vector);
  }
  guest.write32(msixEntry(2) + 12, 1);
  // An error with nowhere to go but SWERROR, and a vector that nobody listens to.
  guest.submit(1, { opcode: 0x3e });
  await expect.poll(() => guest.read32(SWERROR) & 1).toBe(1);
  guest.session.sync.setIrqs({ index: VfioIrq.msix, start: 1, eventfds: [-1] });
  guest.submit(1, { opcode: 0, flags, completion: RECORD + 64n, handle: 1 });
  await expect.poll(() => guest.status(RECORD + 64n)).toBe(1);
  load(guest);
  return guest;
}

test('everything that a guest can read is the same, before and after the device goes on', async () => {
  const source = await busy();
  const stream = await saved(source.session);
  const before = visible(source);
  const destination = await dsaGuest('dsa-cfg-v1');
  destination.mapAgain(LARGE_AT, 3 * LARGE);
  expect(visible(destination)).not.toEqual(before);
  await destination.session.setMigrationState(MigrationState.resuming);
  await destination.session.writeMigrationData(stream);
  await destination.session.setMigrationState(MigrationState.stop);
  expect(visible(destination)).toEqual(before);
  // What it would give on is what it was given.
  await destination.session.setMigrationState(MigrationState.stopCopy);
  expect(Buffer.from(await readAll(destination.session)).equals(stream)).toBe(true);
  await destination.session.setMigrationState(MigrationState.running);

  expect(destination.vectors[1]?.read()).toBeGreaterThan(0);
  while (destination.status(RECORD) === 0) await destination.interrupt(1);
  await source.session.setMigrationState(MigrationState.running);
  await expect.poll(() => source.status(RECORD), LONG).toBe(1);
  // Both have done the same work, and nothing is latched any more.
  source.session.sync.setIrqs({ index: VfioIrq.msix, start: 1, eventfds: [source.vectors[1]?.fd ?? -1] });
  expect(visible(destination)).toEqual(visible(source));
  for (const guest of [source, destination]) {
    guest.submit(0, { opcode: 0, flags, completion: RECORD + 96n, handle: 1 });
    await expect.poll(() => guest.status(RECORD + 96n), LONG).toBe(1);
  }
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
  const before = visible(destination);
  const { session } = destination;
  const refuses = async (bytes: Uint8Array, message: string): Promise<void> => {
    await expect(restored(session, bytes)).rejects.toThrow(message);
    await session.setMigrationState(MigrationState.running);
    expect(visible(destination)).toEqual(before);
  };
  await refuses(stream.subarray(0, -40), 'bytes');
  // The registers are good; what the vendor adds is not.
  await refuses(
    changed(stream, (parts) => {
      parts.payload = parts.payload.subarray(0, -1);
    }),
    'malformed',
  );
  await refuses(
    changed(stream, ({ header }) => {
      header['compatibility'] = String(header['compatibility']).replace('3235362c', '3235372c');
    }),
    'compatibility: version',
  );
  const done = destination.interrupt(1);
  destination.submit(0, { opcode: 0, flags, completion: RECORD, handle: 1 });
  await done;
  expect(destination.status(RECORD)).toBe(1);
});
