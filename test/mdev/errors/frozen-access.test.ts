import { expect, test } from 'vitest';

import { reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import { defineMdevType, MdevRegistry, mmio, ParentDevice } from '../../../src/mdev/index.ts';

const bar0 = mmio(registerBlock(0x1000, { A: reg32(0, { a: rw(31, 0) }), B: reg32(4, { b: rw(31, 0) }) }));

test('a write that spans registers ends with the hook that froze the instance', async () => {
  const calls: string[] = [];
  const type = defineMdevType({
    id: 'pair',
    pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
    regions: { bar0 },
    platform: { enforceMemoryDecode: false },
    create: (context) => ({
      stop: () => void calls.push('stop'),
      hooks: {
        bar0: {
          A: {
            afterWrite: () => {
              calls.push('A');
              context.freeze(new Error('parity'));
            },
          },
          B: { afterWrite: () => void calls.push('B') },
        },
      },
    }),
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: 'pair' });
  using session = device.open({ name: 'vmm' });
  session.sync.writeRegion(0, 0, Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0));
  expect([calls, device.state]).toEqual([['A', 'stop'], 'frozen']);
  device.reset();
  calls.length = 0;
  session.sync.writeRegion(0, 4, Uint8Array.of(2, 0, 0, 0));
  expect(calls).toEqual(['B']);
  await registry.close();
});
