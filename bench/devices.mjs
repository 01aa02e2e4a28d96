// The instances that are measured, made with nothing but the package's public interface.

import { MdevRegistry, ParentDevice, defineMdevType, mmio } from 'mdev-user';
import { reg32, registerBlock, rw, ro } from 'mdev-user/emulation';

import { BENCH_REGISTERS } from './lib/measures.mjs';

/** One register that the table serves and one whose reads run a hook. */
const block = registerBlock(0x1000, {
  TABLE: reg32(BENCH_REGISTERS.TABLE, { scratch: rw(31, 0) }),
  HOOKED: reg32(BENCH_REGISTERS.HOOKED, { reads: ro(31, 0) }),
});

const registersType = defineMdevType({
  id: 'registers',
  pci: { vendorId: 0x1af4, deviceId: 0x10ff, classCode: 0xff0000, capabilities: [] },
  regions: { bar0: mmio(block) },
  create({ bar0 }) {
    const { HOOKED } = bar0.registers;
    let reads = 0;
    return {
      hooks: {
        bar0: {
          // Counts, so that the client sees in every value that the hook ran once for it.
          HOOKED: {
            beforeRead() {
              reads = (reads + 1) >>> 0;
              HOOKED.reads = reads;
            },
          },
        },
      },
    };
  },
});

/**
 * An instance of the bench device.
 */
export async function createRegisters() {
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'bench0', driverName: 'bench', types: [registersType], maxInstances: 1 }));
  return await registry.create({ parent: 'bench0', type: 'registers' });
}

/**
 * An instance that is a whole software DSA with one engine.
 */
export async function createIdxd() {
  const { softwareDsa } = await import('mdev-user/backends/idxd');
  const registry = new MdevRegistry();
  const parent = softwareDsa({ engines: 1 });
  registry.register(parent);
  return await registry.create({ parent: parent.name, type: 'dsa-cfg-v1' });
}
