import { type Capability, reg32, registerBlock, ro, vendorSpecific } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevDevice,
  MdevRegistry,
  mmio,
  ParentDevice,
  portal,
  type Regions,
} from '../../../src/mdev/index.ts';

const GiB = 2 ** 30;

/** BARs as the checklist has them: by their number, those that are absent left out. */
export const narrowBars: Regions = {
  bar1: mmio(registerBlock(0x1000, {}), { width: 32, prefetchable: false }),
  bar2: portal({ size: 0x2000, width: 32, prefetchable: false }),
  bar3: portal({ size: 0x4000, width: 32, prefetchable: false }),
};
export const wideBars: Regions = {
  bar0: portal({ size: 4 * GiB }),
  bar2: portal({ size: 8 * GiB }),
  bar4: portal({ size: 16 * GiB }),
};

/** A function with these BARs, without PCI Express unless `capabilities` has it. */
export function barCard(
  regions: Regions,
  capabilities: readonly Capability[] = [],
  size: 256 | 4096 = 4096,
): Promise<MdevDevice> {
  const pci = { vendorId: 0x1d0f, deviceId: 0xba4, classCode: 0x088000, capabilities, size };
  return made(defineMdevType({ id: 'bar-card', pci, regions, create: () => ({}) }));
}

/** In config space: the register that {@link answeringCard} is asked for. */
export const ANSWER = 0x44;

/** A function whose register at {@link ANSWER} has no value of its own: each read is served by `answer`. */
export function answeringCard(answer: () => number): Promise<MdevDevice> {
  const registers = { KNOB: reg32(4, { level: ro(15, 0) }) };
  const capabilities = [vendorSpecific({ name: 'VENDOR', offset: 0x40, size: 8, registers })] as const;
  return made(
    defineMdevType({
      id: 'answering-card',
      pci: { vendorId: 0x1d0f, deviceId: 0xba4, classCode: 0x088000, capabilities },
      regions: { bar0: mmio(registerBlock(0x1000, {})) },
      create: () => ({ hooks: { config: { VENDOR: { KNOB: { beforeRead: () => ({ level: answer() }) } } } } }),
    }),
  );
}

async function made(type: ReturnType<typeof defineMdevType>): Promise<MdevDevice> {
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'card0', driverName: 'card', types: [type], maxInstances: 1 }));
  return registry.create({ parent: 'card0', type: type.id });
}
