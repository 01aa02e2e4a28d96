import type { DeviceCore } from '../../native/binding.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { accessFlags, type AnyRegion, type RegionName, type Regions, regionsOf } from './regions.ts';
import type { RegisterRegions } from './register-regions.ts';

/** What must be on for a region to answer; the order is that of C++'s `RegionDecode`. */
const Decode = { always: 0, memory: 1, io: 2, rom: 3 } as const;

/** What a ROM reads behind its contents. */
const ERASED = 0xff;

/** The memory behind the regions that have some, by name. Index n is byte n of the region. */
export type RegionMemories = Readonly<Partial<Record<RegionName, Uint8Array>>>;

/** Makes the regions of one instance, all but its config space. */
export function buildRegions(
  core: DeviceCore,
  registers: RegisterRegions,
  regions: Regions,
  platform: Pick<PlatformCapabilities, 'rom'>,
): RegionMemories {
  const memories: Partial<Record<RegionName, Uint8Array>> = {};
  for (const { name, index, region } of regionsOf(regions)) {
    if (region.kind === 'mmio') registers.add(index, region.block, region);
    else core.setRegion(index, region.size, accessFlags(region.access));
    if (region.space === 'io') core.setRegionDecode(index, Decode.io);
    if (region.kind === 'rom' && platform.rom === 'map') core.setRegionDecode(index, Decode.rom);
    const areas = memoryAreas(region);
    if (areas.length > 0) {
      const flat = areas.flatMap(({ offset, size }) => [offset, size]);
      memories[name] = new Uint8Array(core.setRegionMemory(index, flat));
    }
  }
  fillMemories(regions, memories);
  return memories;
}

/** Gives memory what it begins with. */
export function fillMemories(regions: Regions, memories: RegionMemories): void {
  for (const { name, region } of regionsOf(regions)) {
    const bytes = memories[name];
    if (bytes === undefined) continue;
    // Only what is not 0 is written at first: pages that nobody uses are never there.
    if (region.kind === 'rom') bytes.fill(ERASED);
    if (region.kind === 'rom' || region.kind === 'memory') bytes.set(region.content ?? new Uint8Array(0));
  }
}

function memoryAreas({
  kind,
  mapping,
  size,
}: AnyRegion): readonly { readonly offset: number; readonly size: number }[] {
  if (kind === 'memory' || kind === 'rom') return [{ offset: 0, size }];
  return mapping?.areas ?? [];
}
