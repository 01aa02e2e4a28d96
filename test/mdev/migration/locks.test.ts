/** Which registers a guest may write follows from the device, and not from what a stream says. */
import { expect, it } from 'vitest';

import { array, reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import { defineMdevType, type MdevDevice, MdevRegistry, mmio, ParentDevice } from '../../../src/mdev/index.ts';

const block = registerBlock(0x1000, {
  CONTROL: reg32(0x00, { enable: rw(0) }),
  SIZE: reg32(0x04, { size: rw(15, 0) }, { lockedBy: 'enabled' }),
  QUEUE: array(
    0x100,
    8,
    4,
    {
      CONTROL: reg32(0x0, { enable: rw(0) }),
      SIZE: reg32(0x4, { size: rw(15, 0) }, { lockedBy: 'running' }),
    },
    { locks: ['running'] },
  ),
});
const bar0 = mmio(block);
type Locks = Record<'device' | 'queue', boolean>;

/** A device whose sizes are locked while it, and a queue of it, is enabled; with what its vendor has forgotten. */
async function lockingCard(
  part: 'whole' | 'forgets' | 'throws' = 'whole',
): Promise<{ readonly device: MdevDevice; readonly locks: Locks; readonly enable: () => void }> {
  const made: { readonly locks: Locks; readonly enable: () => void }[] = [];
  const type = defineMdevType({
    id: 'locking',
    pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
    regions: { bar0 },
    platform: { enforceMemoryDecode: false },
    create: ({ bar0: region }) => {
      const { locks, registers } = region;
      const takeLocks = (): void => {
        if (part === 'throws') throw new Error('no lock fits');
        locks.enabled = registers.CONTROL.enable;
        for (const queue of registers.QUEUE) queue.locks.running = queue.CONTROL.enable;
      };
      made.push({
        enable: () => {
          registers.CONTROL.enable = true;
          for (const queue of registers.QUEUE) queue.CONTROL.enable = true;
          takeLocks();
        },
        locks: {
          get device() {
            return locks.enabled;
          },
          set device(held) {
            locks.enabled = held;
          },
          get queue() {
            return registers.QUEUE.every((queue) => queue.locks.running);
          },
          set queue(held) {
            for (const queue of registers.QUEUE) queue.locks.running = held;
          },
        },
      });
      return {
        quiesce: () => Promise.resolve(),
        resume: () => undefined,
        migration: {
          version: 1,
          save: () => Uint8Array.of(7),
          restore: () => undefined,
          ...(part === 'forgets' ? {} : { takeLocks }),
        },
      };
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: type.id });
  const [first] = made;
  if (first === undefined) throw new Error('create was not called');
  return { device, locks: first.locks, enable: first.enable };
}

async function saved({ transfer }: MdevDevice): Promise<Uint8Array> {
  await transfer?.suspend();
  return (await transfer?.save()) ?? new Uint8Array(0);
}

it.each([
  ['locks', true],
  ['unlocks', false],
])('a stream that %s what its registers do not is taken as these say', async (_what, enabled) => {
  const source = await lockingCard();
  if (enabled) source.enable();
  const right = { ...source.locks };
  source.locks.device = source.locks.queue = !enabled;
  const target = await lockingCard();
  const state = await saved(source.device);
  await target.device.transfer?.suspend();
  target.device.transfer?.restore(state);
  target.device.transfer?.resume();
  expect(right).toEqual({ device: enabled, queue: enabled });
  expect({ ...target.locks }).toEqual(right);
  using session = target.device.open({ name: 'vmm' });
  for (const size of [4, 0x104, 0x11c]) {
    session.sync.writeRegion(0, size, Uint8Array.of(9, 0, 0, 0));
    expect(session.sync.readRegion(0, size, 1)[0]).toBe(enabled ? 0 : 9);
  }
});

it('a vendor cannot forget to say which locks are held', async () => {
  await expect(lockingCard('forgets')).rejects.toThrow(/locks \(VFIO region 0\) needs takeLocks/);
});

it('an instance whose vendor finds no locks has failed, for its vendor has its state already', async () => {
  const state = await saved((await lockingCard()).device);
  const { device } = await lockingCard('throws');
  await device.transfer?.suspend();
  expect(() => device.transfer?.restore(state)).toThrow(expect.objectContaining({ code: 'EIO' }));
  expect([device.state, device.failure?.path]).toEqual(['failed', 'migration.takeLocks']);
});
