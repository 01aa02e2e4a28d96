import {
  array,
  msix,
  msixRegisters,
  pciExpress,
  powerManagement,
  reg32,
  reg64,
  registerBlock,
  ro,
  rw,
  w1c,
  wo,
} from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  integer,
  type MdevBehaviour,
  type MdevContext,
  type MdevDevice,
  MdevRegistry,
  type MdevType,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
  portal,
} from '../../../src/mdev/index.ts';

export const VECTORS = 3;
const msixPlaces = {
  vectors: VECTORS,
  table: { bar: 0, offset: 0x800 },
  pba: { bar: 0, offset: 0xc00 },
} as const;

/** BAR0 of a copy engine that exists for these tests. */
export const acmeRegisters = registerBlock(0x1000, {
  VERSION: reg32(0x00, { minor: ro(7, 0), major: ro(15, 8) }, { reset: 0x0100, constant: true }),
  CONTROL: reg32(0x04, { interruptEnable: rw(0), burst: rw(7, 4) }, { reset: 0x10 }),
  STATUS: reg32(0x08, { state: ro(1, 0), polls: ro(31, 16) }),
  CAUSE: reg32(0x0c, { done: w1c(0), error: w1c(1) }, { shared: true }),
  SOURCE: reg64(0x10, { address: rw(63, 0) }, { lockedBy: 'running' }),
  TARGET: reg64(0x18, { address: rw(63, 0) }, { lockedBy: 'running' }),
  DOORBELL: reg32(0x20, { length: wo(31, 0) }),
  KEPT: reg32(0x24, { value32: rw(31, 0) }, { survives: ['function'] }),
  LANE: array(0x100, 16, 4, { MODE: reg32(0x00, { mode: rw(3, 0) }), COUNT: reg32(0x04, { count: ro(31, 0) }) }),
  ...msixRegisters(msixPlaces),
});

/** Offsets in BAR0 that tests use from the guest's side. */
export const At = {
  version: 0x00,
  control: 0x04,
  status: 0x08,
  cause: 0x0c,
  source: 0x10,
  target: 0x18,
  doorbell: 0x20,
  kept: 0x24,
  laneMode: (lane: number) => 0x100 + 16 * lane,
  msixControl: (vector: number) => 0x800 + 16 * vector + 12,
  pending: 0xc00,
  /** In config space. */
  command: 0x04,
  deviceControl: 0x48,
  msixMessageControl: 0x82,
  powerControl: 0x94,
} as const;

const acmeRegions = { bar0: mmio(acmeRegisters), bar2: portal({ size: 0x4000 }) } as const;
export type AcmeContext = MdevContext<{ readonly lanes: number }, typeof acmeRegions>;
export type AcmeBehaviour = MdevBehaviour<typeof acmeRegions>;

export interface AcmeOptions {
  readonly create?: (context: AcmeContext) => AcmeBehaviour | Promise<AcmeBehaviour>;
  readonly maxInstances?: number;
}

/** A type whose behaviour a test gives. */
export function acmeType(create: NonNullable<AcmeOptions['create']> = () => ({})): MdevType {
  return defineMdevType({
    id: 'channel',
    name: 'Acme copy channel',
    description: 'One copy channel.',
    attributes: { lanes: integer({ minimum: 1, maximum: 4, default: 2, description: 'Lanes' }) },
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0xacce,
      classCode: 0x088000,
      capabilities: [
        pciExpress({ offset: 0x40, functionLevelReset: true }),
        msix({ offset: 0x80, ...msixPlaces }),
        powerManagement({ offset: 0x90 }),
      ],
    },
    regions: acmeRegions,
    create,
  });
}

/** A registry with parent `acme0`. */
export function acmeRegistry(options: AcmeOptions = {}): MdevRegistry {
  const registry = new MdevRegistry();
  const types = [acmeType(options.create)];
  registry.register(
    new ParentDevice({ name: 'acme0', driverName: 'acme', types, maxInstances: options.maxInstances ?? 4 }),
  );
  return registry;
}

/** One instance of a registry of its own. */
export function acmeDevice(
  create?: NonNullable<AcmeOptions['create']>,
  platform?: Partial<PlatformCapabilities>,
): Promise<MdevDevice> {
  return acmeRegistry(create === undefined ? {} : { create }).create({
    parent: 'acme0',
    type: 'channel',
    ...(platform === undefined ? {} : { platform }),
  });
}

/** An instance with the context that its behaviour got. */
export async function acmeInstance(
  behaviour: (context: AcmeContext) => AcmeBehaviour = () => ({}),
  platform?: Partial<PlatformCapabilities>,
): Promise<{ readonly device: MdevDevice; readonly context: AcmeContext }> {
  const contexts: AcmeContext[] = [];
  const device = await acmeDevice((context) => {
    contexts.push(context);
    return behaviour(context);
  }, platform);
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return { device, context };
}
