import { expect, test } from 'vitest';

import { AddressSpace, MigrationState } from '../../../src/mdev/index.ts';
import { enable, svaCard } from '../support/sva-card.ts';

const EBUSY = (message: string): unknown =>
  expect.objectContaining({ code: 'EBUSY', message: expect.stringContaining(message) as string });

test('an instance with a PASID that is attached does not migrate, and while it does none is attached', async () => {
  const { device } = await svaCard({
    behaviour: () => ({
      quiesce: () => Promise.resolve(),
      resume: () => undefined,
      migration: { version: 1, save: () => Uint8Array.of(7), restore: () => undefined },
    }),
  });
  using space = new AddressSpace({ name: 'process' });
  using session = device.open({ name: 'vmm' });
  enable(session);
  const pasid = session.sva.allocatePasid();
  session.sva.attach(pasid, space);
  const { migration, transfer } = device;
  const held = `PASID ${pasid} of instance ${device.uuid} (acme0, shared) is attached to address space process`;
  for (const target of [MigrationState.stop, MigrationState.preCopy, MigrationState.stopCopy]) {
    await expect(migration?.setState(target)).rejects.toEqual(EBUSY(held));
    expect(device.state).toBe('running');
  }
  await expect(transfer?.suspend()).rejects.toEqual(EBUSY(held));
  await migration?.setState(MigrationState.running);
  session.sva.detach(pasid);
  await migration?.setState(MigrationState.stop);
  expect(() => {
    session.sva.attach(pasid, space);
  }).toThrow(EBUSY('being migrated'));
  await migration?.setState(MigrationState.running);
  session.sva.attach(pasid, space);
  session.sva.detach(pasid);
  // Attached behind the owner's suspension.
  await transfer?.suspend();
  session.sva.attach(pasid, space);
  await expect(transfer?.save()).rejects.toEqual(EBUSY(held));
  transfer?.resume();
  session.sva.detach(pasid);
});
