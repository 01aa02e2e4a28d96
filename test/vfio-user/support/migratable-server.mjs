// Serves a small device that can be migrated at the socket of its argument, until its client has left and standard input ends.
import { reg32, registerBlock, rw, array, msix, msixRegisters, wo } from '../../../dist/emulation/index.js';
import { defineMdevType, MdevRegistry, memory, mmio, ParentDevice } from '../../../dist/mdev/index.js';
import { serve } from '../../../dist/vfio-user/index.js';

const places = { vectors: 8, table: { bar: 0, offset: 0x400 }, pba: { bar: 0, offset: 0x800 } };
const registers = registerBlock(0x1000, {
  RAISE: reg32(0, { vector: wo(31, 0) }),
  SLOT: array(0x100, 16, 4, { VALUE: reg32(0, { number: rw(31, 0) }) }),
  ...msixRegisters(places),
});
let payload = Uint8Array.of(1);
const type = defineMdevType({
  id: 'slots',
  pci: { vendorId: 0x1d0f, deviceId: 0x5107, classCode: 0x088000, capabilities: [msix({ offset: 0x40, ...places })] },
  regions: { bar0: mmio(registers), bar2: memory({ size: 0x10000 }) },
  create: (context) => ({
    hooks: { bar0: { RAISE: { afterWrite: ({ vector }) => context.irqs.msix.trigger(vector) } } },
    quiesce: async () => {},
    resume: () => {},
    migration: {
      version: 1,
      save: () => payload,
      restore: (bytes) => {
        if (bytes.length !== 1) throw new RangeError('expected one byte');
        payload = bytes.slice();
      },
    },
  }),
});
const registry = new MdevRegistry();
registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
const device = await registry.create({ parent: 'acme0', type: 'slots' });
const server = serve(device, { socketPath: process.argv[2] });
process.stdout.write('ready\n');
process.stdin.resume().on('end', async () => {
  await server.close();
  await registry.close();
});
