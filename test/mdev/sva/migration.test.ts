import { expect, test } from 'vitest';

import { AddressSpace, type MdevBehaviour, MigrationState } from '../../../src/mdev/index.ts';
import { enable, read16, svaCard, SvaAt, write16 } from '../support/sva-card.ts';

const EBUSY = (message: string): unknown =>
  expect.objectContaining({ code: 'EBUSY', message: expect.stringContaining(message) as string });

const migratable: () => MdevBehaviour = () => ({
  quiesce: () => Promise.resolve(),
  resume: () => undefined,
  migration: { version: 1, save: () => Uint8Array.of(7), restore: () => undefined },
});

test('an instance with a PASID that is attached does not migrate, and while it does none is attached', async () => {
  const { device } = await svaCard({ behaviour: migratable });
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

test.each([
  ['that has failed', 0x8001, 1],
  ['that was answered what it did not ask', 0x8002, 1],
  ['that goes on', 0x8000, 1],
  ['that is disabled', 0x8100, 0],
])('a guest finds its page request interface %s as it was', async (_how, status, enabled) => {
  const [from, to] = await Promise.all([svaCard({ behaviour: migratable }), svaCard({ behaviour: migratable })]);
  using source = from.device.open({ name: 'source' });
  enable(source);
  const respond = (response: 'failure' | 'success'): void => {
    expect(() => {
      source.sva.respond(77, response);
    }).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  };
  if (status === 0x8002) respond('success');
  if (status === 0x8001) {
    using space = new AddressSpace({ name: 'process' });
    const pasid = source.sva.allocatePasid();
    source.sva.attach(pasid, space);
    using _listening = source.sva.onPageRequest(({ group }) => {
      source.sva.respond(group, 'failure');
    });
    expect(await from.sva.pageRequest({ pasid, iova: 0n })).toBe('failure');
    source.sva.detach(pasid);
  }
  write16(source, SvaAt.priControl, enabled);
  expect(read16(source, SvaAt.priStatus)).toBe(status);
  await from.device.transfer?.suspend();
  const state = (await from.device.transfer?.save()) ?? new Uint8Array(0);
  await to.device.transfer?.suspend();
  to.device.transfer?.restore(state);
  to.device.transfer?.resume();
  using target = to.device.open({ name: 'target' });
  expect([read16(target, SvaAt.priControl), read16(target, SvaAt.priStatus)]).toEqual([enabled, status]);
  // It is enabled anew by its guest only.
  write16(target, SvaAt.priControl, 0);
  write16(target, SvaAt.priControl, 1);
  expect(read16(target, SvaAt.priStatus)).toBe(0x8000);
});
