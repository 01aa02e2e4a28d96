import { DeclarationError, type RegisterBlock } from '../../emulation/index.ts';
import { checkIoEventFds, type IoEventFd } from './io-event-fd.ts';
import type {
  CacheAttribute,
  MemoryRegion,
  MmioRegion,
  PortalRegion,
  RegionAccess,
  RegionArea,
  RegionMapping,
  RegionType,
  RomRegion,
} from './regions.ts';

/** Smallest memory BAR, smallest I/O BAR and smallest expansion ROM, bytes. */
const MINIMUM = { memory: 16, io: 4, rom: 2048 } as const;
/** Bytes of VFIO's VGA region: the frame buffer at 0xa0000 is in it, and the ports at 0x3b0 and 0x3c0. */
const VGA_SIZE = 0xc0000;

/** How a BAR presents itself. */
export interface BarOptions {
  /** 32 or 64 address bits; 64 takes the next BAR's place too. 64 when absent. */
  readonly width?: 32 | 64;
  /**
   * Promises that reads have no side effects and that bridges may merge writes (PCI Local Bus Specification 3.0, 6.2.5.1). False when absent, except for
   * {@link memory}, which keeps that by itself.
   */
  readonly prefetchable?: boolean;
  /** `readWrite` when absent. */
  readonly access?: RegionAccess;
}

/** How a region may be mapped. */
export interface MapOptions {
  /** The whole region when absent. */
  readonly areas?: readonly RegionArea[];
  /** `one` when absent. */
  readonly descriptors?: RegionMapping['descriptors'];
  /** `uncached` when absent, as vfio-pci maps BARs. */
  readonly cache?: CacheAttribute;
}

/** Options of {@link mmio}. */
export interface MmioOptions extends BarOptions {
  /** Bytes; the next power of two of the block's when absent. Behind the block, reads give 0 and writes are dropped. */
  readonly size?: number;
  /** Pages without registers that are memory, and that a client may map. */
  readonly map?: MapOptions & { readonly areas: readonly RegionArea[] };
  /** Bells that a VMM may signal instead of sending a write; none when absent. */
  readonly ioEventFds?: readonly IoEventFd[];
}

/** Options of {@link memory}. */
export interface MemoryOptions extends BarOptions {
  /** Bytes, up to 4 GiB. */
  readonly size: number;
  /** What it begins with, and has again after a cold reset; zeros behind it. */
  readonly content?: Uint8Array;
  /** Whether and how a client may map it; not at all when absent. */
  readonly map?: MapOptions | true;
}

function mapping(size: number, map: MapOptions | true | undefined): { readonly mapping?: RegionMapping } {
  if (map === undefined) return {};
  const { areas = [{ offset: 0, size }], descriptors = 'one', cache = 'uncached' } = map === true ? {} : map;
  return { mapping: { areas, descriptors, cache } };
}

function powerOfTwo(size: number, minimum: number): number {
  return Math.max(minimum, 2 ** Math.ceil(Math.log2(size)));
}

/**
 * A region whose contents are a register block: a memory BAR, or a device-specific region.
 * @throws `DeclarationError` when an ioeventfd is no access inside it.
 */
export function mmio<B extends RegisterBlock>(block: B, options: MmioOptions = {}): MmioRegion<B> {
  const size = options.size ?? powerOfTwo(block.size, MINIMUM.memory);
  if (options.ioEventFds !== undefined) checkIoEventFds('mmio', size, options.ioEventFds);
  return {
    kind: 'mmio',
    block,
    size,
    width: options.width ?? 64,
    prefetchable: options.prefetchable ?? false,
    space: 'memory',
    access: options.access ?? 'readWrite',
    ...mapping(size, options.map),
    ...(options.ioEventFds !== undefined && { ioEventFds: options.ioEventFds }),
  };
}

/**
 * An I/O BAR whose contents are a register block. It answers while COMMAND.ioSpace is on.
 * @param options.size Bytes, a power of two from 4 to 256; the next one of the block's when absent.
 */
export function io<B extends RegisterBlock>(
  block: B,
  options: { readonly size?: number; readonly access?: RegionAccess } = {},
): MmioRegion<B> {
  const { size = powerOfTwo(block.size, MINIMUM.io), access = 'readWrite' } = options;
  return { kind: 'mmio', block, size, width: 32, prefetchable: false, space: 'io', access };
}

/**
 * A memory BAR that engines take work from.
 * @throws `DeclarationError` when `size` (bytes) is not a power of two of at least 16.
 */
export function portal(options: BarOptions & { readonly size: number }): PortalRegion {
  const { size, width = 64, prefetchable = false, access = 'readWrite' } = options;
  if (!Number.isSafeInteger(size) || powerOfTwo(size, MINIMUM.memory) !== size) {
    throw new DeclarationError(`portal: ${size} bytes; expected a power of two of at least 16`);
  }
  return { kind: 'portal', size, width, prefetchable, space: 'memory', access };
}

/**
 * A region of plain memory: a memory BAR, or a device-specific region. The vendor's code has it as
 * `context.memory.NAME`; a client that may map it shares it, and its accesses then reach nobody's code.
 */
export function memory(options: MemoryOptions): MemoryRegion {
  const { size, width = 64, prefetchable = true, access = 'readWrite', content, map } = options;
  return {
    kind: 'memory',
    size,
    width,
    prefetchable,
    space: 'memory',
    access,
    ...(content === undefined ? {} : { content }),
    ...mapping(size, map),
  };
}

/**
 * The expansion ROM.
 * @param content What is in it, copied for each instance.
 * @param options.size Bytes, a power of two from 2 KiB to 16 MiB; the next one of the content's when absent. Checked where the type's config space is made
 * (`DeclarationError`), and so is that the content fits.
 */
export function rom(content: Uint8Array, options: { readonly size?: number } = {}): RomRegion {
  const { size = powerOfTwo(Math.max(1, content.length), MINIMUM.rom) } = options;
  return { kind: 'rom', content, size, width: 32, prefetchable: false, space: 'memory', access: 'readOnly' };
}

/**
 * VFIO's VGA region of a VGA compatible device: the frame buffer at 0xa0000 to 0xbffff, and the ports at 0x3b0 to 0x3bb
 * and 0x3c0 to 0x3df, at these offsets. Registers may be nowhere else; accesses elsewhere are refused.
 */
export function vga<B extends RegisterBlock>(block: B): MmioRegion<B> {
  return { ...mmio(block, { size: VGA_SIZE, width: 32 }) };
}

/**
 * A device-specific region, `region9` and up.
 * @param type What clients recognize it by. {@link vendorRegionType} makes the types that belong to a PCI vendor.
 */
export function deviceSpecific<T extends MmioRegion | MemoryRegion>(type: RegionType, region: T): T {
  return { ...region, type };
}

/**
 * The type of a region that belongs to a PCI vendor (VFIO_REGION_TYPE_PCI_VENDOR_TYPE).
 * @param vendorId The vendor's PCI id, 16 bits.
 * @param subtype Tells the vendor's types apart, 32 bits.
 */
export function vendorRegionType(vendorId: number, subtype: number): RegionType {
  return { type: 0x8000_0000 + vendorId, subtype };
}
