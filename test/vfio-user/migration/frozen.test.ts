/** A frozen instance is moved as it is, and mended where it arrives. */
import { afterEach, describe, expect, it } from 'vitest';

import { MigrationState as S, type VfioDevice } from '../../../src/mdev/index.ts';
import { closeRegistries, dsaGuest } from '../../backends/idxd/support/dsa-guest.ts';
import { At, type Counter, counter, readAll, restored, saved } from '../../mdev/support/migratable.ts';
import { FACES, openFace } from '../support/faces.ts';

afterEach(closeRegistries);

const ONES = 0xffff_ffff;
/** From the end of a stream: the payload of a counter with its front, and the section that says whether it is frozen. */
const FROZEN_FROM_END = 8 + 16 + 256;

async function used(face: (typeof FACES)[number]): Promise<[Counter, VfioDevice]> {
  const one = await counter();
  const vmm = await openFace(face, one.device);
  await vmm.writeRegister(7, At.command, 2, 6);
  await vmm.writeRegister(0, At.slot, 4, 0xabcd);
  await vmm.writeRegister(0, At.count, 4, 12);
  return [one, vmm];
}

function freeze(one: Counter): void {
  one.context.freeze(new Error('a parity error\nin lane 2'));
}

describe.each(FACES)('a frozen instance, its client %s', (face) => {
  it.each([
    ['before', () => Promise.resolve(), [S.stopCopy]],
    ['in PRE_COPY', (vmm: VfioDevice) => vmm.setMigrationState(S.preCopy), [S.preCopyP2p, S.stopCopy]],
    ['in RUNNING_P2P', (vmm: VfioDevice) => vmm.setMigrationState(S.runningP2p), [S.stop, S.stopCopy]],
  ] as const)('is moved, frozen %s', async (_when, before, path) => {
    const [source, vmm] = await used(face);
    const [target, next] = await used(face);
    await using _source = vmm;
    await using _next = next;
    await before(vmm);
    freeze(source);
    for (const state of path) await vmm.setMigrationState(state);
    const stream = await readAll(vmm);
    await restored(next, stream);
    expect([target.device.state, target.running, target.count]).toEqual(['frozen', true, 12]);
    expect(target.device.failure).toMatchObject({
      path: 'migration',
      error: { message: 'it was frozen where it came from: "a parity error\\nin lane 2"' },
    });
    expect([await next.readRegister(0, At.slot, 4), await next.migrationState()]).toEqual([ONES, S.running]);
    // And on from there.
    const onwards = await saved(next);
    await next.setMigrationState(S.running);
    expect(onwards.length).toBeGreaterThan(0);
    await next.reset();
    expect([target.device.state, target.device.failure, target.running]).toEqual(['running', undefined, true]);
    await next.writeRegister(7, At.command, 2, 6);
    expect(await next.readRegister(0, At.slot, 4)).toBe(0);

    // The source may stay what it is, or be mended.
    expect([source.device.state, source.running]).toEqual(['frozen', false]);
    await vmm.setMigrationState(S.running);
    expect([source.device.state, source.running]).toEqual(['frozen', true]);
    await vmm.setMigrationState(S.stop);
    await vmm.reset();
    expect([source.device.state, source.running, await vmm.migrationState()]).toEqual(['running', true, S.running]);
  });

  it.each([S.stop, S.stopCopy, S.resuming])('is in error when it freezes in state %i', async (state) => {
    const [source, vmm] = await used(face);
    await using _source = vmm;
    await vmm.setMigrationState(state);
    freeze(source);
    expect(await vmm.migrationState()).toBe(S.error);
    await vmm.reset();
    expect([source.device.state, source.running, await vmm.migrationState()]).toEqual(['running', true, S.running]);
  });

  it('takes no other one’s state before it is mended', async () => {
    const [, vmm] = await used(face);
    const [target, next] = await used(face);
    await using _source = vmm;
    await using _next = next;
    const stream = await saved(vmm);
    freeze(target);
    await expect(next.setMigrationState(S.resuming)).rejects.toMatchObject({ code: 'EIO' });
    expect([await next.migrationState(), target.device.state]).toEqual([S.stop, 'frozen']);
    await next.reset();
    await restored(next, stream);
    expect([target.device.state, await next.readRegister(0, At.slot, 4)]).toEqual(['running', 0xabcd]);
  });

  it.each([
    [0, 3],
    [1, 255],
  ])('is refused when byte %i of its section is %i, and the target stays as it was', async (at, value) => {
    const [source, vmm] = await used(face);
    const [target, next] = await used(face);
    await using _source = vmm;
    await using _next = next;
    freeze(source);
    const stream = await saved(vmm);
    stream[stream.length - FROZEN_FROM_END + at] = value;
    await next.writeRegister(0, At.slot, 4, 5);
    await expect(restored(next, stream)).rejects.toMatchObject({ code: 'EINVAL' });
    await next.setMigrationState(S.running);
    expect([target.device.state, await next.readRegister(0, At.slot, 4)]).toEqual(['running', 5]);
  });

  it('goes on when its client leaves it stopped, and the next one gets it mended', async () => {
    const [source, vmm] = await used(face);
    freeze(source);
    await vmm.setMigrationState(S.stopCopy);
    await vmm.close();
    await expect.poll(() => source.device.attachment).toBeUndefined();
    expect(source.device.state).toBe('frozen');
    await using next = await openFace(face, source.device);
    expect([source.device.state, source.running, await next.migrationState()]).toEqual(['running', true, S.running]);
  });
});

it('a virtual DSA with work under way is frozen, moved and mended', async () => {
  const source = await dsaGuest('dsa-cfg-v1');
  const target = await dsaGuest('dsa-cfg-v1');
  for (const guest of [source, target]) guest.mapAgain(0x1_0000_0000n, 0x600_0000);
  source.bringUp([64], 1n);
  for (let index = 0; index < 30; index++) {
    source.submit(0, { opcode: 3, source: 0x1_0000_0000n, destination: 0x1_0220_0000n, size: 0x200_0000 }, 1);
  }
  source.device.error({ uncorrectable: 'poisonedTlp' });
  expect(source.device.state).toBe('frozen');
  await restored(target.session, await saved(source.session));
  expect([target.device.state, target.read32(0)]).toEqual(['frozen', ONES]);
  target.session.sync.reset();
  target.write16(4, 6, 7);
  target.bringUp([64], 1n);
  const flags = 0b1100;
  target.submit(0, { opcode: 0, flags, completion: 0x10_0000n });
  await expect.poll(() => target.status(0x10_0000n)).toBe(1);
});
