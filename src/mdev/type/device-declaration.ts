import {
  type Bars,
  type Capability,
  configSpace,
  type ConfigSpace,
  ioBar,
  memoryBar,
  type PciIdentity,
} from '../../emulation/index.ts';
import { checkMsix } from '../interrupts/check-msix.ts';
import { checkRegions } from '../regions/check-regions.ts';
import { type BarName, barsOf, type Region, type Regions } from '../regions/regions.ts';

/** The PCI function of a type, without its BARs: those follow from the regions. */
export interface PciDeclaration<C extends readonly Capability[] = readonly Capability[]> extends PciIdentity {
  /** In the order of the chain. */
  readonly capabilities: C;
  /** Bytes of config space. 4096 when absent. */
  readonly size?: 256 | 4096;
}

/** What one set of attribute values makes of a type. Compiled once and shared by all instances with these values. */
export interface DeviceDeclaration {
  readonly regions: Regions;
  readonly configSpace: ConfigSpace;
  readonly pci: PciDeclaration;
  /** The vendor declares memory BARs smaller than a page, whatever the platform makes of them. */
  readonly hasSubPageBars: boolean;
}

/** What of a platform is seen in a declaration. */
export interface DeclarationPlatform {
  /** See `PlatformCapabilities`. */
  readonly subPageBars: boolean;
}

/** Bytes of a page: the least that can be trapped or mapped for itself. */
const PAGE = 4096;

/**
 * Puts regions and PCI function together.
 * @throws `DeclarationError` when they do not fit: BARs in one place, capabilities that overlap, values too wide for their
 * registers, an MSI-X table that its BAR lacks.
 */
export function deviceDeclaration(
  declared: Regions,
  pci: PciDeclaration,
  platform: DeclarationPlatform,
): DeviceDeclaration {
  const { size = 4096, ...identity } = pci;
  checkRegions(declared, pci.classCode);
  const hasSubPageBars = subPageBarsOf(declared).length > 0;
  const regions = platform.subPageBars ? declared : withWholePages(declared);
  const { rom } = regions;
  const space = configSpace({
    ...identity,
    size,
    bars: bars(regions),
    ...(rom === undefined ? {} : { rom: { size: rom.size } }),
  });
  checkMsix(space, regions);
  return { regions, pci, configSpace: space, hasSubPageBars };
}

function bars(regions: Regions): Bars {
  return Object.fromEntries(
    barsOf(regions).map(({ index, region: { prefetchable, size, space, width } }) => [
      index,
      space === 'io' ? ioBar({ size }) : memoryBar({ size, width, prefetchable }),
    ]),
  );
}

/** No memory BAR shares its page with another one. */
function withWholePages(regions: Regions): Regions {
  const large = subPageBarsOf(regions).map(({ name, region }): readonly [BarName, Region] => [
    name,
    { ...region, size: PAGE },
  ]);
  return { ...regions, ...Object.fromEntries(large) };
}

function subPageBarsOf(regions: Regions): ReturnType<typeof barsOf> {
  return barsOf(regions).filter(({ region }) => region.space === 'memory' && region.size < PAGE);
}
