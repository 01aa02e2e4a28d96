import { reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevBehaviour,
  type MdevDevice,
  MdevRegistry,
  type MigrationBehaviour,
  mmio,
  ParentDevice,
  type PlatformOverrides,
} from '../../../src/mdev/index.ts';

const block = registerBlock(0x1000, { VALUE: reg32(0, { number: rw(31, 0) }) });

/** An instance with one register, in a registry of its own. BARs answer whatever COMMAND says. */
export async function plainCard(behaviour: MdevBehaviour, platform: PlatformOverrides = {}): Promise<MdevDevice> {
  const type = defineMdevType({
    id: 'plain',
    pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
    regions: { bar0: mmio(block) },
    create: () => behaviour as object,
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  return registry.create({ parent: 'acme0', type: type.id, platform: { enforceMemoryDecode: false, ...platform } });
}

/** One that can be migrated, as far as `part` does not say otherwise. */
export async function plainMigratable(
  part: Partial<MigrationBehaviour> = {},
  platform: PlatformOverrides = {},
  quiesce: () => Promise<void> = () => Promise.resolve(),
  resume: () => void = () => undefined,
): Promise<MdevDevice> {
  const migration = { version: 1, save: () => Uint8Array.of(7), restore: () => undefined, ...part };
  return plainCard({ quiesce, resume, migration }, platform);
}
