import { CapabilityId, type ConfigSpace } from '../../emulation/index.ts';
import { hasInterruptPin } from '../../emulation/pci/interrupt-pin.ts';
import { msiCapabilityOf } from '../interrupts/msi-capability.ts';
import { msixPlacesOf } from '../interrupts/msix-places.ts';
import { accessFlags, type AnyRegion, type RegionMapping, type Regions, regionsOf } from '../regions/regions.ts';
import {
  type IrqInfo,
  type RegionCapabilities,
  type RegionInfo,
  type RegionMap,
  VFIO_REGIONS,
  VfioIrq,
  VfioIrqFlag,
  VfioRegion,
  VfioRegionFlag,
} from './vfio.ts';

/**
 * GET_REGION_INFO of a device, by index: those of PCI, then its own.
 * @param fileOf The descriptor of the memory behind a region.
 */
export function regionInfos(
  regions: Regions,
  configSpace: ConfigSpace,
  fileOf: (index: number) => number,
): readonly RegionInfo[] {
  const declared = regionsOf(regions);
  const count = Math.max(VFIO_REGIONS, (declared.at(-1)?.index ?? 0) + 1);
  const infos = Array.from({ length: count }, (_, index): RegionInfo => ({ index, size: 0, flags: 0 }));
  infos[VfioRegion.config] = { index: VfioRegion.config, size: configSpace.size, flags: accessFlags('readWrite') };
  const table = msixPlacesOf(configSpace)?.table.region;
  for (const { index, region } of declared) infos[index] = regionInfo(index, region, index === table, fileOf);
  return infos;
}

function regionInfo(
  index: number,
  { access, mapping, size, type }: AnyRegion,
  holdsMsixTable: boolean,
  fileOf: (index: number) => number,
): RegionInfo {
  const whole = mapping?.areas.some((area) => area.offset === 0 && area.size === size) === true;
  const capabilities: RegionCapabilities = {
    ...(mapping === undefined || (whole && mapping.descriptors === 'one') ? {} : { mmapAreas: mapping.areas }),
    ...type,
    ...(holdsMsixTable && whole ? { msixMappable: true } : {}),
  };
  const chained = Object.keys(capabilities).length > 0;
  const mmap = mapping === undefined ? 0 : VfioRegionFlag.mmap;
  return {
    index,
    size,
    flags: accessFlags(access) | mmap | (chained ? VfioRegionFlag.capabilities : 0),
    ...(chained ? { capabilities } : {}),
    ...(mapping === undefined ? {} : { map: mapOf(mapping, fileOf(index)) }),
  };
}

function mapOf({ areas, cache, descriptors }: RegionMapping, file: number): RegionMap {
  return { areas, fds: descriptors === 'one' ? [file] : areas.map(() => file), cache };
}

/**
 * GET_IRQ_INFO of a device, by index. MSI-X lacks NORESIZE: with it, QEMU disables and enables all vectors for each new
 * one. INTx exists where there is an interrupt pin, and ERR where there is a PCI Express capability, as in vfio-pci.
 */
export function irqInfos(configSpace: ConfigSpace): readonly IrqInfo[] {
  const { eventfd, maskable, automasked, noResize } = VfioIrqFlag;
  const express = configSpace.capabilities.some((capability) => capability.id === CapabilityId.pciExpress);
  return [
    { index: VfioIrq.intx, count: hasInterruptPin(configSpace) ? 1 : 0, flags: eventfd | maskable | automasked },
    { index: VfioIrq.msi, count: msiCapabilityOf(configSpace)?.vectors ?? 0, flags: eventfd | noResize },
    { index: VfioIrq.msix, count: msixPlacesOf(configSpace)?.vectors ?? 0, flags: eventfd },
    { index: VfioIrq.error, count: express ? 1 : 0, flags: eventfd | noResize },
    { index: VfioIrq.request, count: 1, flags: eventfd | noResize },
  ];
}

/** As vfio-pci, which refuses GET_IRQ_INFO of ERR on a function without PCI Express, and answers a count of 0 for the others. */
export function isAbsentIrq(index: number, count: number): boolean {
  return index === VfioIrq.error && count === 0;
}
