import { describe, expect, it } from 'vitest';

import { MigrationState } from '../../src/mdev/index.ts';
import { counter } from '../mdev/support/migratable.ts';
import { FACES, openFace } from './support/faces.ts';

const S = MigrationState;
const SLOT = 0x100;

describe.each(FACES)('requests that are made without waiting, of a device %s,', (face) => {
  it('take effect in their order, slow ones among them', async () => {
    const { device } = await counter({ platform: { enforceMemoryDecode: false } });
    await using vmm = await openFace(face, device);
    const size = await vmm.stopCopySize();
    const [, stream, , , , rest] = await Promise.all([
      vmm.setMigrationState(S.stopCopy),
      vmm.readMigrationData(1 << 20),
      vmm.setMigrationState(S.running),
      vmm.setMigrationState(S.stop),
      vmm.setMigrationState(S.stopCopy),
      vmm.stopCopySize(),
    ]);
    expect([BigInt(stream.length), rest, await vmm.migrationState()]).toEqual([size, size, S.stopCopy]);

    // What is done to a stopped device is done when it has stopped, and a reset lets it run.
    await vmm.setMigrationState(S.running);
    const [, , stopped, , running] = await Promise.all([
      vmm.setMigrationState(S.stop),
      vmm.writeRegister(0, SLOT, 4, 7),
      vmm.migrationState(),
      vmm.reset(),
      vmm.migrationState(),
    ]);
    expect([stopped, running, device.state]).toEqual([S.stop, S.running, 'running']);
    expect(await vmm.readRegister(0, SLOT, 4)).toBe(0);
    await device.close();
  });

  it('take effect behind one that was refused, with the bytes that they were made with', async () => {
    const { device } = await counter({ platform: { enforceMemoryDecode: false } });
    await using vmm = await openFace(face, device);
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const refused = vmm.setMigrationState(S.error);
    const written = vmm.writeRegion(0, SLOT, bytes);
    bytes.fill(9);
    await expect(refused).rejects.toMatchObject({ code: 'EINVAL' });
    await written;
    expect(await vmm.readRegister(0, SLOT, 4)).toBe(0x0403_0201);
    await device.close();
  });

  it('end with the device, those that wait as well', async () => {
    const made = await counter({ platform: { enforceMemoryDecode: false } });
    const vmm = await openFace(face, made.device);
    let stopped = (): void => undefined;
    made.quiescing = new Promise((resolve) => (stopped = resolve));
    const requests = Promise.allSettled([vmm.setMigrationState(S.stop), vmm.reset(), vmm.readRegion(0, SLOT, 4)]);
    const closed = vmm.close();
    stopped();
    await closed;
    expect((await requests).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await made.device.close();
  });
});
