import {
  addressTranslation,
  pageRequest,
  pasid,
  pciExpress,
  reg32,
  registerBlock,
  rw,
} from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type DeviceSession,
  type DeviceSva,
  type MdevBehaviour,
  type MdevDevice,
  MdevRegistry,
  type MdevServices,
  type MdevType,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
  type SvaDeclaration,
} from '../../../src/mdev/index.ts';
import { CONFIG } from './guest.ts';

const block = registerBlock(0x1000, { VALUE: reg32(0, { number: rw(31, 0) }) });

/** Where the capabilities of a {@link svaCard} are. */
export const SvaAt = {
  command: 0x04,
  deviceControl: 0x48,
  atsControl: 0x106,
  pasidControl: 0x116,
  priControl: 0x124,
  priStatus: 0x126,
  priAllocation: 0x12c,
} as const;

/** Options of {@link svaCard}. */
export interface SvaCardOptions {
  readonly sva?: SvaDeclaration;
  readonly width?: number;
  /** Pages that may be asked for; 16 when absent. */
  readonly capacity?: number;
  readonly maxPasids?: number;
  readonly platform?: Partial<PlatformCapabilities>;
  readonly behaviour?: (services: MdevServices<object, undefined>) => MdevBehaviour;
}

/** A type with ATS, PASID and PRI, and one register. */
function svaType({ behaviour, capacity = 16, sva = {}, width = 20 }: SvaCardOptions = {}): MdevType {
  return defineMdevType({
    id: 'shared',
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0xacce,
      classCode: 0x088000,
      capabilities: [
        pciExpress({ offset: 0x40, functionLevelReset: true }),
        addressTranslation({ offset: 0x100 }),
        pasid({ offset: 0x110, width }),
        pageRequest({ offset: 0x120, capacity }),
      ],
    },
    regions: { bar0: mmio(block) },
    sva,
    create: (context) => (behaviour?.(context) ?? {}) as object,
  });
}

/** An instance of {@link svaCard}, and what its behaviour got. */
export interface SvaCard {
  readonly device: MdevDevice;
  readonly services: MdevServices<object, undefined>;
  readonly sva: DeviceSva;
  readonly registry: MdevRegistry;
}

/** A registry whose parent `acme0` makes such instances, and a function that makes them. */
export function svaParent(options: SvaCardOptions = {}): { readonly make: () => Promise<SvaCard> } {
  const made: MdevServices<object, undefined>[] = [];
  const type = svaType({
    ...options,
    behaviour: (services) => {
      made.push(services);
      return options.behaviour?.(services) ?? {};
    },
  });
  const registry = new MdevRegistry();
  const { maxPasids } = options;
  const limit = maxPasids === undefined ? {} : { maxPasids };
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 8, ...limit }));
  return {
    make: async () => {
      const device = await registry.create({ parent: 'acme0', type: type.id, platform: options.platform ?? {} });
      const services = made.at(-1);
      if (services === undefined) throw new Error('create was not called');
      return { device, services, sva: services.sva, registry };
    },
  };
}

/** One such instance. */
export async function svaCard(options: SvaCardOptions = {}): Promise<SvaCard> {
  return await svaParent(options).make();
}

/** Writes a 16-bit register of config space. */
export function write16(session: DeviceSession, offset: number, value: number): void {
  session.sync.writeRegion(CONFIG, offset, Uint8Array.of(value & 0xff, value >> 8));
}

/** Reads one. */
export function read16(session: DeviceSession, offset: number): number {
  const [low = 0, high = 0] = session.sync.readRegion(CONFIG, offset, 2);
  return low | (high << 8);
}

/** What a guest's driver does first: bus master, PASIDs, translations, and page requests with room for `allocation`. */
export function enable(session: DeviceSession, { allocation = 16 } = {}): void {
  write16(session, SvaAt.command, 6);
  write16(session, SvaAt.pasidControl, 1);
  write16(session, SvaAt.atsControl, 0x8000);
  session.sync.writeRegion(CONFIG, SvaAt.priAllocation, Uint8Array.of(allocation, 0, 0, 0));
  write16(session, SvaAt.priControl, 1);
}
