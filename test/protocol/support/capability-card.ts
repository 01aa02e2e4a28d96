import {
  deviceSerialNumber,
  msi,
  pciExpress,
  reg32,
  registerBlock,
  ro,
  rw,
  vendorSpecific,
  vendorSpecificExtended,
} from '../../../src/emulation/index.ts';
import { defineMdevType, type MdevDevice, MdevRegistry, mmio, ParentDevice } from '../../../src/mdev/index.ts';

export const SERIAL = 0x0123_4567_89ab_cdefn;
/** In config space. */
export const CapabilityAt = { msi: 0x80, vendor: 0xa0, serial: 0x100, vsec: 0x10c } as const;
const { msi: msiAt, serial, vendor, vsec } = CapabilityAt;

const knob = { reset: 0x1111 } as const;
const capabilities = [
  pciExpress({ offset: 0x40, functionLevelReset: true }),
  msi({ offset: msiAt, vectors: 4 }),
  vendorSpecific({ name: 'VENDOR', offset: vendor, size: 8, registers: { KNOB: reg32(4, { level: rw(15, 0) }) } }),
  deviceSerialNumber({ offset: serial, serial: SERIAL }),
  vendorSpecificExtended({
    name: 'VSEC',
    offset: vsec,
    id: 0x5a5a,
    size: 0x10,
    registers: { FIXED: reg32(8, { level: ro(31, 0) }, knob), HOOKED: reg32(12, { level: rw(31, 0) }) },
  }),
] as const;

/** A function with MSI and extended capabilities, and what the hook of its VSEC was told. */
export async function capabilityCard(): Promise<{ readonly device: MdevDevice; readonly written: number[] }> {
  const written: number[] = [];
  const type = defineMdevType({
    id: 'capability-card',
    pci: { vendorId: 0x1d0f, deviceId: 0xca9, classCode: 0x088000, capabilities },
    regions: { bar0: mmio(registerBlock(0x1000, {})) },
    create: () => ({
      hooks: { config: { VSEC: { HOOKED: { afterWrite: ({ level }) => void written.push(level) } } } },
    }),
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'card0', driverName: 'card', types: [type], maxInstances: 1 }));
  return { device: await registry.create({ parent: 'card0', type: type.id }), written };
}
