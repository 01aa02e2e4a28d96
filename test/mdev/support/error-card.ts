import {
  advancedErrorReporting,
  type Capability,
  pciExpress,
  reg32,
  registerBlock,
  ro,
  rw,
} from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevBehaviour,
  type MdevContext,
  type MdevDevice,
  MdevRegistry,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
} from '../../../src/mdev/index.ts';

const registers = registerBlock(0x1000, {
  ID: reg32(0x00, { number: ro(31, 0) }, { reset: 0x1234_5678 }),
  SCRATCH: reg32(0x04, { number: rw(31, 0) }),
  /** A read of it goes to the behaviour's hook, if it has one. */
  HOOKED: reg32(0x08, { number: rw(31, 0) }),
});

export const ErrorCardAt = {
  id: 0,
  scratch: 4,
  hooked: 8,
  /** In config space. */
  deviceControl: 0x48,
  uncorrectableStatus: 0x104,
  correctableStatus: 0x110,
} as const;

const regions = { bar0: mmio(registers) };
type Behaviour = MdevBehaviour<typeof regions>;
export type ErrorCardContext = MdevContext<Readonly<Record<string, never>>, typeof regions>;

/** An instance of a card with Advanced Error Reporting. */
export async function errorCard(
  behaviour: (context: ErrorCardContext) => Behaviour = () => ({}),
  platform: Partial<PlatformCapabilities> = {},
  capabilities: readonly Capability[] = [
    pciExpress({ offset: 0x40, functionLevelReset: true }),
    advancedErrorReporting({ uncorrectable: ['poisonedTlp', 'completerAbort', 'malformedTlp'] }),
  ],
): Promise<{ readonly device: MdevDevice; readonly context: ErrorCardContext }> {
  const contexts: ErrorCardContext[] = [];
  const type = defineMdevType({
    id: 'error-card',
    pci: { vendorId: 0x1d0f, deviceId: 0xe44, classCode: 0x088000, capabilities },
    regions,
    create: (context) => {
      contexts.push(context);
      return behaviour(context);
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'card0', driverName: 'card', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'card0', type: 'error-card', platform });
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return { device, context };
}
