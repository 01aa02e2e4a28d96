/** What former releases have written of a vendor's device is taken. */
import { expect, it } from 'vitest';

import { VfioIrq } from '../../../src/mdev/index.ts';
import { eventfd } from '../../../src/vfio-user/index.ts';
import { recordedStreams } from '../../support/recorded-stream.ts';
import { At, counter, readAll, restored, seen } from '../support/migratable.ts';
import { MigrationState, type DeviceSession } from '../../../src/mdev/index.ts';

const EARLY = Uint8Array.of(4, 5, 6);
const CONFIG = 7;

/** A counter with something in every part of its state. */
async function busy(): Promise<DeviceSession> {
  const { context, device } = await counter({ early: EARLY });
  const session = device.open({ name: 'source' });
  await session.writeRegister(CONFIG, At.command, 2, 7);
  await session.writeRegister(CONFIG, 0x10, 4, 0xfe00_0000);
  await session.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
  for (let slot = 0; slot < 16; slot++) await session.writeRegister(0, At.slot + 8 * slot, 4, 0x1000 + slot);
  await session.writeRegister64(0, At.limit, 0x1122_3344_5566_7788n);
  // Half of a register that takes effect with its last byte.
  await session.writeRegister(0, At.limit, 4, 0xdead_beef);
  const pattern = Uint8Array.from({ length: 500 }, (_, index) => index * 7);
  await session.writeRegion(2, 100, pattern);
  await session.writeRegister(0, At.count, 4, 77);
  context.bar0.registers.CAUSE.done = true;
  context.bar0.locks.counting = true;
  // Vectors without eventfds latch.
  for (const vector of [0, 33, 39]) await session.writeRegister(0, At.raise, 4, vector + 2);
  await session.writeRegister(0, At.raise, 4, 1);
  return session;
}

const streams = await recordedStreams('acme-counter.bin', async () => {
  const session = await busy();
  await session.setMigrationState(MigrationState.preCopy);
  const early = await readAll(session);
  await session.setMigrationState(MigrationState.stopCopy);
  return Buffer.concat([early, await readAll(session)]);
});

it.each(streams)('one of release %s', async (_release, stream) => {
  using source = await busy();
  const target = await counter();
  using session = target.device.open({ name: 'target' });
  await restored(session, stream);
  expect([target.count, target.early, target.running]).toEqual([77, EARLY, true]);
  expect(await seen(session)).toEqual(await seen(source));

  expect([target.context.bar0.locks.counting, target.context.irqs.intx.asserted]).toEqual([true, true]);
  target.context.bar0.locks.counting = false;
  await session.writeRegister(0, At.limit + 4, 4, 0x0102_0304);
  expect(await session.readRegister64(0, At.limit)).toBe(0x0102_0304_dead_beefn);
  const fired: number[] = [];
  for (let vector = 0; vector < 40; vector++) {
    const line = eventfd();
    await session.setIrqs({ index: VfioIrq.msix, start: vector, eventfds: [line.fd] });
    if (line.read() > 0) fired.push(vector);
    line.close();
  }
  expect(fired).toEqual([0, 33, 39]);
});
