import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { softwareDsa, type SoftwareDsaOptions } from '../../../src/backends/idxd/index.ts';
import { MdevError, MdevRegistry } from '../../../src/mdev/index.ts';

function registryOf(options: SoftwareDsaOptions = {}): MdevRegistry {
  const registry = new MdevRegistry();
  registry.register(softwareDsa(options));
  return registry;
}

test('a parent as it comes', () => {
  const parent = softwareDsa();
  expect([parent.name, parent.driverName]).toEqual(['dsa0', 'idxd']);
  expect(parent.types.map((type) => [parent.fullTypeName(type), type.deviceApi, type.name])).toEqual([
    ['idxd-dsa-1dwq-v1', 'vfio-pci', 'DSA with one dedicated work queue'],
    ['idxd-dsa-1swq-v1', 'vfio-pci', 'DSA with one shared work queue'],
    ['idxd-dsa-cfg-v1', 'vfio-pci', 'DSA that the guest configures'],
  ]);
  expect(parent.type('dsa-1dwq-v1').parseAttributes({})).toEqual({
    entries: 16,
    priority: 8,
    maxTransferShift: 31,
    maxBatchShift: 10,
    interruptHandles: false,
    version: '1.0',
  });
  expect(parent.type('idxd-dsa-cfg-v1').parseAttributes({})).toMatchObject({
    queues: 8,
    entries: 128,
    groups: 4,
    engines: 4,
  });
  expect(['dsa-1dwq-v1', 'dsa-1swq-v1', 'dsa-cfg-v1'].map((type) => parent.availableInstances(type))).toEqual([
    8, 8, 1,
  ]);
});

describe('refuses options that cannot be', () => {
  test.each<[SoftwareDsaOptions, string]>([
    [{ queues: 0 }, 'software DSA: queues is 0; expected 1 to 63'],
    [{ queues: 64 }, 'software DSA: queues is 64; expected 1 to 63'],
    [{ queues: 8, entries: 7 }, 'software DSA: entries is 7; expected 8 to 65535'],
    [{ groups: 9 }, 'software DSA: groups is 9; expected 1 to 8'],
    [{ engines: 1.5 }, 'software DSA: engines is 1.5; expected 1 to 64'],
    [{ engines: 2, sharedEngines: 3 }, 'software DSA: sharedEngines is 3; expected 0 to 2'],
  ])('%j', (options, message) => {
    expect(() => softwareDsa(options)).toThrow(expect.objectContaining({ code: 'EINVAL', message }));
  });
});

test('a configurable instance has at least one entry per queue, like its parent; else nothing is taken', async () => {
  const registry = registryOf();
  const parent = registry.parent('dsa0');
  await expect(
    registry.create({ parent: 'dsa0', type: 'dsa-cfg-v1', attributes: { queues: 4, entries: 3 } }),
  ).rejects.toMatchObject({
    code: 'EINVAL',
    message: 'type dsa-cfg-v1: entries is 3; expected at least 4, one for each of the 4 queues',
  });
  // The queues are those of the default.
  expect(() => parent.availableInstances('dsa-cfg-v1', { entries: '7' })).toThrow(
    expect.objectContaining({
      code: 'EINVAL',
      message: 'type dsa-cfg-v1: entries is 7; expected at least 8, one for each of the 8 queues',
    }),
  );
  expect([registry.devices.length, parent.availableInstances('dsa-cfg-v1')]).toEqual([0, 1]);
  await registry.create({ parent: 'dsa0', type: 'dsa-cfg-v1', attributes: { queues: 4, entries: 4 } });
  await registry.close();
});

test('slicing: fixed instances leave a configurable one what is left, and the other way round', async () => {
  const registry = registryOf();
  const parent = registry.parent('dsa0');
  const available = (): number[] => [
    parent.availableInstances('dsa-1dwq-v1'),
    parent.availableInstances('dsa-cfg-v1'),
    parent.availableInstances('dsa-cfg-v1', { queues: 2, entries: 32, groups: 1, engines: 1 }),
  ];
  expect(available()).toEqual([8, 1, 4]);
  const fixed = await registry.create({ parent: 'dsa0', type: 'dsa-1dwq-v1' });
  expect(available()).toEqual([7, 0, 3]);
  const attributes = { queues: 7, entries: 112, groups: 3, engines: 3 };
  await registry.create({ parent: 'dsa0', type: 'dsa-cfg-v1', attributes });
  expect(available()).toEqual([0, 0, 0]);
  await expect(registry.create({ parent: 'dsa0', type: 'dsa-1dwq-v1' })).rejects.toMatchObject({
    code: 'EUSERS',
    message: 'dsa0 has 0 free queues; 1 are needed',
  });
  await registry.remove(fixed.uuid);
  expect(available()).toEqual([1, 0, 0]);
  await registry.close();
});

test('what is available is what can be created, at all times', async () => {
  const need = fc.record({
    queues: fc.integer({ min: 1, max: 4 }),
    entries: fc.integer({ min: 4, max: 32 }),
    groups: fc.integer({ min: 1, max: 2 }),
    engines: fc.integer({ min: 1, max: 2 }),
  });
  const step = fc.oneof(
    fc.record({ type: fc.constant('dsa-cfg-v1'), attributes: need }),
    fc.record({
      type: fc.constantFrom('dsa-1dwq-v1', 'dsa-1swq-v1'),
      attributes: fc.record({ entries: fc.integer({ min: 1, max: 16 }) }),
    }),
    fc.record({ remove: fc.nat(10) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const registry = registryOf({ queues: 4, entries: 32, groups: 2, engines: 2 });
      const parent = registry.parent('dsa0');
      for (const next of steps) {
        if ('remove' in next) {
          const device = registry.devices[next.remove % (registry.devices.length + 1)];
          if (device !== undefined) await registry.remove(device.uuid);
          continue;
        }
        const { type, attributes } = next;
        const available = parent.availableInstances(type, attributes);
        try {
          await registry.create({ parent: 'dsa0', type, attributes });
          expect(available).toBeGreaterThan(0);
          expect(parent.availableInstances(type, attributes)).toBe(available - 1);
        } catch (error) {
          if (!(error instanceof MdevError)) throw error;
          expect([error.code, available]).toEqual(['EUSERS', 0]);
        }
      }
      await registry.unregister('dsa0');
      expect(parent.availableInstances('dsa-cfg-v1')).toBe(1);
    }),
    { numRuns: 40 },
  );
});

test('an operator who hides MSI-X is told that a DSA needs it', async () => {
  const registry = registryOf();
  const uuid = '5f1c0000-0000-4000-8000-000000000001';
  await expect(
    registry.create({ parent: 'dsa0', type: 'dsa-1dwq-v1', uuid, platform: { hiddenCapabilities: ['MSIX'] } }),
  ).rejects.toMatchObject({
    code: 'EINVAL',
    message: `instance ${uuid}: the platform switch hiddenCapabilities has MSIX, and a DSA needs its 2 vectors`,
  });
  expect(registry.devices).toEqual([]);
  await registry.close();
});
