import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type MdevDevice, type MigrationBehaviour, MigrationState } from '../../../src/mdev/index.ts';
import { restored, saved } from '../../mdev/support/migratable.ts';
import { plainMigratable } from '../../mdev/support/plain-card.ts';
import { FACES, openFace } from '../support/faces.ts';

const S = MigrationState;

/** An `async` function, as one that is not: types of functions that give nothing accept it, and JavaScript all. */
const late = (async () => {
  await Promise.resolve();
  throw new Error('late');
}) as unknown as () => never;

const devices: MdevDevice[] = [];
const rejections: unknown[] = [];
const note = (error: unknown): void => {
  rejections.push(error);
};

beforeEach(() => {
  process.on('unhandledRejection', note);
});

afterEach(async () => {
  for (const device of devices.splice(0)) await device.close();
  await turn();
  process.off('unhandledRejection', note);
  expect(rejections.splice(0)).toEqual([]);
});

async function migratable(part: Partial<MigrationBehaviour> = {}): Promise<MdevDevice> {
  const device = await plainMigratable(part);
  devices.push(device);
  return device;
}

/** The stream of one that does everything right, whose register has the value 1. */
async function stream(): Promise<Uint8Array> {
  const source = await migratable();
  using session = source.open({ name: 'source' });
  session.sync.writeRegion(0, 0, Uint8Array.of(1, 0, 0, 0));
  return await saved(session);
}

const EIO = { code: 'EIO' };

describe.each(FACES)('a device %s whose vendor gives a promise', (face) => {
  it('from restore has failed, and nothing of the stream is left', async () => {
    const device = await migratable({ restore: late });
    const bytes = await stream();
    await using vmm = await openFace(face, device);
    await expect(restored(vmm, bytes)).rejects.toMatchObject(EIO);
    expect([device.state, device.failure?.path]).toEqual(['failed', 'migration.restore']);
    expect(String(device.failure?.error)).toContain('gave a promise');
    expect(await vmm.migrationState()).toBe(S.error);
  });

  it('from accepts takes no stream', async () => {
    const device = await migratable({ accepts: late });
    const bytes = await stream();
    await using vmm = await openFace(face, device);
    await vmm.setMigrationState(S.resuming);
    await expect(vmm.writeMigrationData(bytes)).rejects.toMatchObject(EIO);
    await vmm.setMigrationState(S.running);
    expect(await vmm.readRegister(0, 0, 4)).toBe(0);
    expect(device.state).toBe('running');
  });

  it('from preCopy or compatibility goes on where it was', async () => {
    for (const part of [{ preCopy: late }, { compatibility: late }]) {
      const device = await migratable(part);
      await using vmm = await openFace(face, device);
      await expect(vmm.setMigrationState(S.preCopy)).rejects.toMatchObject(EIO);
      expect([await vmm.migrationState(), device.state]).toEqual([S.running, 'running']);
    }
  });

  it.each([
    ['a promise', late],
    ['NaN', () => NaN],
    ['a word', () => 'many' as unknown as number],
  ])('or %s as an estimate has none, and goes on', async (_, estimate) => {
    const device = await migratable({ estimate });
    await using vmm = await openFace(face, device);
    await expect(vmm.stopCopySize()).rejects.toMatchObject(EIO);
    expect([await vmm.migrationState(), device.state]).toEqual([S.running, 'running']);
  });
});

it.each(FACES)('an estimate of any size is told %s', async (face) => {
  for (const estimate of [Infinity, -Infinity, 2 ** 70, -1]) {
    const device = await migratable({ estimate: () => estimate });
    await using vmm = await openFace(face, device);
    const size = await vmm.stopCopySize();
    expect([size > 2n ** 51n, size < 2n ** 53n]).toEqual([estimate > 0, true]);
  }
});
