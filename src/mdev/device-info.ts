import { CapabilityId, type ConfigSpace } from '../emulation/index.ts';
import { hasInterruptPin } from './interrupt-pin.ts';
import { msiCapabilityOf } from './msi-capability.ts';
import { msixPlacesOf } from './msix-places.ts';
import { barsOf, type Regions } from './regions.ts';
import { READ_WRITE } from './register-regions.ts';
import { type IrqInfo, type RegionInfo, VFIO_REGIONS, VfioIrq, VfioIrqFlag, VfioRegion } from './vfio.ts';

/** GET_REGION_INFO of a device, by index. No region can be mapped: portals and registers must be seen to be served. */
export function regionInfos(regions: Regions, configSpace: ConfigSpace): readonly RegionInfo[] {
  const sizes = new Map<number, number>(barsOf(regions).map(({ index, region }) => [index, region.size]));
  sizes.set(VfioRegion.config, configSpace.size);
  return Array.from({ length: VFIO_REGIONS }, (_, index) => {
    const size = sizes.get(index) ?? 0;
    return { index, size, flags: size === 0 ? 0 : READ_WRITE };
  });
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
