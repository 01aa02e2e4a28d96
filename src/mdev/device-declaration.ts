import {
  type Bars,
  type Capability,
  configSpace,
  type ConfigSpace,
  memoryBar,
  type PciIdentity,
} from '../emulation/index.ts';
import { checkMsix } from './check-msix.ts';
import { barsOf, type Regions } from './regions.ts';

/** The PCI function of a type, without its BARs: those follow from the regions. */
export interface PciDeclaration extends PciIdentity {
  /** In the order of the chain. */
  readonly capabilities: readonly Capability[];
  /** Bytes of config space. 4096 when absent. */
  readonly size?: 256 | 4096;
}

/** What one set of attribute values makes of a type. Compiled once and shared by all instances with these values. */
export interface DeviceDeclaration {
  readonly regions: Regions;
  readonly configSpace: ConfigSpace;
  readonly pci: PciDeclaration;
}

/**
 * Puts regions and PCI function together.
 * @throws `DeclarationError` when they do not fit: BARs in one place, capabilities that overlap, values too wide for their
 * registers, an MSI-X table that its BAR lacks.
 */
export function deviceDeclaration(regions: Regions, pci: PciDeclaration): DeviceDeclaration {
  const { size = 4096, ...identity } = pci;
  const space = configSpace({ ...identity, size, bars: bars(regions) });
  checkMsix(space, regions);
  return { regions, pci, configSpace: space };
}

function bars(regions: Regions): Bars {
  return Object.fromEntries(
    barsOf(regions).map(({ index, region: { size, width, prefetchable } }) => [
      index,
      memoryBar({ size, width, prefetchable }),
    ]),
  );
}
