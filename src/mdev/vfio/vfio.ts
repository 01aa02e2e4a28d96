/** VFIO_PCI_*_REGION_INDEX. */
export const VfioRegion = { bar0: 0, bar1: 1, bar2: 2, bar3: 3, bar4: 4, bar5: 5, rom: 6, config: 7, vga: 8 } as const;
/** VFIO_PCI_NUM_REGIONS. */
export const VFIO_REGIONS = 9;
/** VFIO_REGION_INFO_FLAG_*. */
export const VfioRegionFlag = { read: 1, write: 2, mmap: 4, capabilities: 8 } as const;

/** VFIO_PCI_*_IRQ_INDEX. */
export const VfioIrq = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;
/** VFIO_PCI_NUM_IRQS. */
export const VFIO_IRQS = 5;
/** VFIO_IRQ_INFO_*. */
export const VfioIrqFlag = { eventfd: 1, maskable: 2, automasked: 4, noResize: 8 } as const;

/** VFIO_IRQ_SET_*: one kind of data and one action. */
export const VfioIrqSetFlag = { none: 1, bool: 2, eventfd: 4, mask: 8, unmask: 16, trigger: 32 } as const;
/** VFIO_DEVICE_FLAGS_*. */
export const VfioDeviceFlag = { reset: 1, pci: 2 } as const;
/** VFIO_DMA_MAP_FLAG_*: what the device may do. */
export const VfioDmaFlag = { read: 1, write: 2 } as const;

/** What GET_INFO says of a device. */
export interface DeviceInfo {
  /** {@link VfioDeviceFlag} bits. */
  readonly flags: number;
  /** Region indices. */
  readonly regions: number;
  /** Irq indices. */
  readonly irqs: number;
}

/** A part of a region, bytes. */
export interface MmapArea {
  readonly offset: number;
  readonly size: number;
}

/** VFIO_REGION_INFO_CAP_*. */
export interface RegionCapabilities {
  /** SPARSE_MMAP: only these parts can be mapped. */
  readonly mmapAreas?: readonly MmapArea[];
  /** TYPE: what a device-specific region is, with `subtype`. */
  readonly type?: number;
  readonly subtype?: number;
  /** MSIX_MAPPABLE: the part with the MSI-X table can be mapped, too. */
  readonly msixMappable?: boolean;
}

/** Most regions of a device: those of PCI, and 23 of its own. */
export const VFIO_REGIONS_MAX = 32;

/** What of a region can be mapped, and how. */
export interface RegionMap {
  /** By ascending offset in the region, whole pages, bytes. */
  readonly areas: readonly MmapArea[];
  /**
   * Descriptors of the memory, one for all areas or one for each. They belong to the instance and are open as long as it
   * is. An area is in its file where it is in the region.
   */
  readonly fds: readonly number[];
  /** How a mapping should be cached; vfio-pci's own is `uncached`. */
  readonly cache: 'uncached' | 'writeCombining' | 'writeBack';
}

/** What GET_REGION_INFO says of one region. */
export interface RegionInfo {
  readonly index: number;
  /** Bytes; 0 when the region does not exist. */
  readonly size: number;
  /** {@link VfioRegionFlag} bits; 0 when the region does not exist. */
  readonly flags: number;
  /** What else is known about it; absent: nothing. */
  readonly capabilities?: RegionCapabilities;
  /** Of an instance in this process: the memory that can be mapped. */
  readonly map?: RegionMap;
}

/** What GET_IRQ_INFO says of one index. */
export interface IrqInfo {
  readonly index: number;
  /** Vectors; 0 when the index has none. */
  readonly count: number;
  /** {@link VfioIrqFlag} bits. */
  readonly flags: number;
}
