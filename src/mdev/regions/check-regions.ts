import { DeclarationError } from '../../emulation/index.ts';
import { placements } from '../../emulation/placement.ts';
import { type AnyRegion, regionIndex, type Regions, regionsOf, type RegionType } from './regions.ts';
import { VFIO_REGIONS, VFIO_REGIONS_MAX, VfioRegion } from '../vfio/vfio.ts';

const PAGE = 4096;
const UINT32_MAX = 0xffff_ffff;
/** Bytes of the largest region with memory. */
const MEMORY_MAX = 4 * 2 ** 30;
/** Areas of a region, and of one with a descriptor for each: what one message carries. */
const AREAS_MAX = 64;
const DESCRIPTORS_MAX = 16;
/** Base class and sub-class of a VGA compatible controller. */
const VGA_CLASS = 0x0300;
/** Where registers of the VGA region may be: begin and end. */
const VGA_WINDOWS: readonly (readonly [number, number])[] = [
  [0xa0000, 0xc0000],
  [0x3b0, 0x3bc],
  [0x3c0, 0x3e0],
];

/**
 * Checks what each region says for itself, and which there are. BARs are checked with the config space.
 * @throws DeclarationError that names the region.
 */
export function checkRegions(regions: Regions, classCode: number): void {
  for (const name of Object.keys(regions)) {
    if (regionIndex(name) === undefined) {
      const own = `region${VFIO_REGIONS} to region${VFIO_REGIONS_MAX - 1}`;
      throw new DeclarationError(`${name} is no region; expected bar0 to bar5, rom, vga, or ${own}`);
    }
  }
  let expected: number = VFIO_REGIONS;
  for (const { name, index, region } of regionsOf(regions)) {
    checkRegion(name, region);
    if (index >= VFIO_REGIONS) {
      if (index !== expected) throw new DeclarationError(`${name}: there is no region${expected} before it`);
      expected += 1;
    }
    checkType(name, index, region.type);
    if (index <= VfioRegion.bar5) checkPrefetchable(name, region);
    if (index === VfioRegion.vga) checkVga(region, classCode);
  }
}

function checkRegion(name: string, region: AnyRegion): void {
  const { size } = region;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new DeclarationError(`${name}: ${size} bytes; expected a whole number from 1`);
  }
  if (region.kind === 'mmio' && region.block.size > size) {
    throw new DeclarationError(`${name}: ${size} bytes; its register block has ${region.block.size}`);
  }
  if ((region.kind === 'memory' || region.mapping !== undefined) && size > MEMORY_MAX) {
    throw new DeclarationError(`${name}: ${size} bytes of memory; expected at most 4 GiB`);
  }
  if ((region.kind === 'memory' || region.kind === 'rom') && (region.content?.length ?? 0) > size) {
    throw new DeclarationError(`${name}: content of ${region.content?.length ?? 0} bytes in a region of ${size}`);
  }
  checkMapping(name, region);
}

function checkMapping(name: string, region: AnyRegion): void {
  const { access, mapping, size, space } = region;
  if (mapping === undefined) return;
  if (space === 'io') throw new DeclarationError(`${name}: I/O ports cannot be mapped`);
  if (access === 'writeOnly') throw new DeclarationError(`${name}: what can only be written cannot be mapped`);
  const most = mapping.descriptors === 'one' ? AREAS_MAX : DESCRIPTORS_MAX;
  if (mapping.areas.length < 1 || mapping.areas.length > most) {
    throw new DeclarationError(`${name}: ${mapping.areas.length} areas to map; expected 1 to ${most}`);
  }
  let end = 0;
  for (const area of mapping.areas) {
    const where = `${name}: the area to map at ${area.offset}, ${area.size} bytes`;
    if (!isPages(area.offset) || !isPages(area.size) || area.size === 0) {
      throw new DeclarationError(`${where}: expected whole pages of ${PAGE} bytes`);
    }
    if (area.offset < end || area.offset + area.size > size) {
      throw new DeclarationError(`${where}: expected it behind the one before, and inside the region's ${size} bytes`);
    }
    end = area.offset + area.size;
    if (region.kind !== 'mmio') continue;
    for (const { path, offset } of placements(region.block)) {
      if (offset >= area.offset && offset < end) throw new DeclarationError(`${where}: register ${path} is there`);
    }
  }
}

/** A bridge that reads ahead would clear them, and what it had read be lost. */
function checkPrefetchable(name: string, region: AnyRegion): void {
  if (region.kind !== 'mmio' || !region.prefetchable) return;
  for (const { path, register } of placements(region.block)) {
    const cleared = Object.entries(register.fields).find(([, { access }]) => access === 'rc');
    if (cleared === undefined) continue;
    throw new DeclarationError(
      `${name}: a read clears ${path}.${cleared[0]}; a BAR with such a field is not prefetchable`,
    );
  }
}

function isPages(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= 0 && bytes % PAGE === 0;
}

function checkType(name: string, index: number, type: RegionType | undefined): void {
  if ((type !== undefined) !== index > VfioRegion.vga) {
    const wrong = type === undefined ? 'has no type; declare it with deviceSpecific(…)' : 'is not device-specific';
    throw new DeclarationError(`${name} ${wrong}`);
  }
  for (const value of [type?.type ?? 0, type?.subtype ?? 0]) {
    if (!Number.isInteger(value) || value < 0 || value > UINT32_MAX) {
      throw new DeclarationError(`${name}: type or subtype ${value}; expected 32 bits`);
    }
  }
}

function checkVga(region: AnyRegion, classCode: number): void {
  if (classCode >>> 8 !== VGA_CLASS) {
    throw new DeclarationError(`vga: class code 0x${classCode.toString(16)}; expected 0x0300 in bits 23:8`);
  }
  if (region.kind !== 'mmio') return;
  for (const { path, offset, register } of placements(region.block)) {
    const end = offset + register.width / 8;
    if (!VGA_WINDOWS.some(([first, last]) => offset >= first && end <= last)) {
      throw new DeclarationError(`vga: register ${path} at 0x${offset.toString(16)} is not where VGA is`);
    }
  }
}
