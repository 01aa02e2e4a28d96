import { msix, reg32, reg8, registerBlock, ro, rw, wo } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  deviceSpecific,
  io,
  type MdevContext,
  type MdevDevice,
  MdevRegistry,
  memory,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
  rom,
  vendorRegionType,
  vga,
} from '../../../src/mdev/index.ts';

export const PAGE = 4096;
/** VFIO region indices of the card. */
export const At = {
  control: 0,
  frame: 2,
  ports: 4,
  tiny: 5,
  rom: 6,
  config: 7,
  vga: 8,
  log: 9,
  doorbells: 10,
} as const;
export const ROM = Uint8Array.from({ length: 3000 }, (_, index) => (index * 7 + 0x55) & 0xff);

const control = registerBlock(0x1000, { ID: reg32(0, { id: ro(31, 0) }, { reset: 0xcafe }) });
const ports = registerBlock(8, { DATA: reg8(0, { data: rw(7, 0) }), STATUS: reg8(1, { status: ro(7, 0) }) });
const tiny = registerBlock(16, { SCRATCH: reg32(4, { value32: rw(31, 0) }, { survives: ['function'] }) });
const video = registerBlock(0xc0000, {
  MISC: reg8(0x3c2, { misc: rw(7, 0) }),
  PIXEL: reg32(0xa0000, { pixel: rw(31, 0) }),
});
const doorbells = registerBlock(0x100, { RING: reg32(0, { value32: wo(31, 0) }) });

const regions = {
  bar0: mmio(control, {
    size: 0x10000,
    map: {
      areas: [
        { offset: 0x2000, size: 0x1000 },
        { offset: 0x8000, size: 0x8000 },
      ],
      cache: 'writeCombining',
    },
  }),
  bar2: memory({ size: 0x4000, content: Uint8Array.of(1, 2, 3), map: true }),
  bar4: io(ports),
  bar5: mmio(tiny, { width: 32 }),
  rom: rom(ROM),
  vga: vga(video),
  region9: deviceSpecific(
    vendorRegionType(0x1d0f, 3),
    memory({
      size: 0x3000,
      access: 'readOnly',
      map: {
        areas: [
          { offset: 0x1000, size: 0x1000 },
          { offset: 0x2000, size: 0x1000 },
        ],
        descriptors: 'perArea',
      },
    }),
  ),
  region10: deviceSpecific({ type: 5, subtype: 0 }, mmio(doorbells, { size: 0x100, access: 'writeOnly' })),
} as const;
export type CardContext = MdevContext<unknown, typeof regions>;

/** An instance of a card with regions of every kind, and what its behaviour got. */
export async function regionCard(
  platform: Partial<PlatformCapabilities> = {},
): Promise<{ readonly device: MdevDevice; readonly context: CardContext }> {
  const contexts: CardContext[] = [];
  const type = defineMdevType({
    id: 'card',
    pci: {
      vendorId: 0x1d0f,
      deviceId: 1,
      classCode: 0x030000,
      capabilities: [],
    },
    regions,
    create: (context) => {
      contexts.push(context);
      return {};
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'card0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'card0', type: 'card', platform });
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return { device, context };
}

/** A capability whose table is in plain memory, which a client may map whole. */
export const mappedTable = msix({ vectors: 4, table: { bar: 2, offset: 0x100 }, pba: { bar: 0, offset: 0xc00 } });
