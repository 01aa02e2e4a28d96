/**
 * Mediated devices, for their three readers in this order: the vendor who declares a type, the VMM that uses an instance, the operator who has
 * parents and instances in a registry. What all three meet comes first.
 *
 * @packageDocumentation
 */

// --- Everybody: instances, their states, and what goes wrong ---

export { MdevDevice } from './device/mdev-device.ts';
export type { MdevDeviceEvents, MdevFailure } from './device/mdev-device-events.ts';
export { LIFE_CYCLE, type MdevState, type MdevTransition } from './device/life-cycle.ts';
export type { ResetCause } from './function/reset-cause.ts';
export type { ErrorReport } from './errors/device-errors.ts';
export type { GuestError } from './errors/guest-errors.ts';
export { HookFailure } from './errors/hook-guard.ts';
export { MdevError, type MdevErrorCode } from './errors/mdev-error.ts';
export type { BarDescription, CapabilityDescription, DeviceDescription } from './type/device-description.ts';

// --- Vendor: a type and its behaviour ---

export { defineMdevType, type MdevType, type MdevTypeDeclaration } from './type/mdev-type.ts';
export type { PciDeclaration } from './type/device-declaration.ts';
export type { MdevBehaviour, RegionHooks } from './type/behaviour.ts';
export type { DeviceMemories, DeviceRegion, DeviceRegions, MdevContext, MdevServices } from './type/context.ts';
export type { ConfigHooks, DeviceConfigSpace } from './type/device-config-space.ts';
export type { ResourcePool } from './registry/resource-pool.ts';
export type { DeviceHandle } from '../native/device-handle.ts';

// Attributes that an operator may set.
export {
  type Attribute,
  type AttributeInput,
  type AttributeSchema,
  type AttributeValues,
  choice,
  type ChoiceAttribute,
  expectedValues,
  flag,
  type FlagAttribute,
  integer,
  type IntegerAttribute,
} from './type/attributes.ts';

// Regions.
export {
  type BarOptions,
  deviceSpecific,
  io,
  type MapOptions,
  memory,
  type MemoryOptions,
  mmio,
  type MmioOptions,
  portal,
  rom,
  vendorRegionType,
  vga,
} from './regions/declare-regions.ts';
export type {
  BarName,
  CacheAttribute,
  DeviceRegionName,
  MemoryRegion,
  MmioRegion,
  PortalRegion,
  Region,
  RegionAccess,
  RegionArea,
  RegionMapping,
  RegionName,
  Regions,
  RegionType,
  RomRegion,
} from './regions/regions.ts';
export type { IoEventFd } from './regions/io-event-fd.ts';

// Interrupts and guest memory.
export type {
  DeviceInterrupts,
  EventInterrupt,
  IntxInterrupt,
  MessageInterrupts,
} from './interrupts/device-interrupts.ts';
export type { DeviceDma, TransferOptions } from './dma/device-dma.ts';

// Shared virtual addressing.
export type { DeviceSva } from './sva/device-sva.ts';
export type { PageRequest, PageRequestGroup, PageResponse } from './sva/page-request.ts';
export type { Invalidation, SvaBehaviour } from './sva/sva-behaviour.ts';
export type { SvaDeclaration } from './sva/sva-declaration.ts';

// Migration.
export type { MigrationBehaviour } from './migration/migration-behaviour.ts';
export type { StateTransfer, SuspendOptions, TransferLimit } from './migration/state-transfer.ts';

// --- VMM: an instance as a VFIO device, in this process or behind a socket ---

export { type IrqListener, VfioDevice } from './vfio/vfio-device.ts';
export { VfioError } from './vfio/vfio-error.ts';
export type { OpenOptions } from './device/device-hold.ts';
export type { Attachment, Holder } from './device/attachment.ts';
export { DeviceSession } from './session/device-session.ts';
export { SynchronousSession } from './session/synchronous-session.ts';
export type { DmaMapRequest, DmaRange, FeatureRequest, SetIrqsRequest, WriteOptions } from './vfio/vfio-requests.ts';
export type { MappedArea, MappedRegion } from './vfio/mapped-region.ts';
export type { IrqLine } from './vfio/irq-lines.ts';
export type { InterruptMessage } from './interrupts/interrupt-message.ts';
export { type DmaInfo, eventfd, type EventFd, memoryFile, type MemoryFile } from '../native/binding.ts';

// VFIO's numbers and structures.
export {
  type DeviceInfo,
  type IrqInfo,
  type MmapArea,
  type RegionCapabilities,
  type RegionInfo,
  type RegionMap,
  VFIO_IRQS,
  VFIO_REGIONS,
  VFIO_REGIONS_MAX,
  VfioDeviceFlag,
  VfioDmaFlag,
  VfioIrq,
  VfioIrqFlag,
  VfioIrqSetFlag,
  VfioRegion,
  VfioRegionFlag,
} from './vfio/vfio.ts';
export { DeviceFeature } from './vfio/features.ts';

// Groups and containers.
export { Container, type ContainerInfo, type ContainerOptions } from './iommu/container.ts';
export type { IommuGroup } from './iommu/iommu-group.ts';
export type { IommuModel } from './iommu/iommu-model.ts';

// Address spaces of PASIDs.
export {
  AddressSpace,
  type AddressSpaceInfo,
  type AddressSpaceMap,
  type AddressSpaceOptions,
} from './sva/address-space.ts';
export type { PageRequestListener } from './sva/page-requests.ts';
export type { SessionSva, SvaInfo } from './sva/session-sva.ts';

// Migration and dirty pages.
export { type Migration, MigrationFlag, MigrationState, type Settle } from './migration/migration.ts';
export { migrationPath } from './migration/migration-path.ts';
export { DmaLogging } from './dma/dma-logging.ts';

// --- Operator: parents, the registry, and what instances of a platform are like ---

export {
  type CreateOptions,
  MdevRegistry,
  type MdevRegistryEvents,
  type Removal,
  type RemoveOptions,
} from './registry/mdev-registry.ts';
export { type InstanceIdentity, ParentDevice, type ParentDeviceOptions } from './registry/parent-device.ts';
export { generateUuid, parseUuid } from './base/uuid.ts';
export {
  defaultPlatformCapabilities,
  type PlatformCapabilities,
  type PlatformOverrides,
} from './platform/platform-capabilities.ts';
export { parsePlatform } from './platform/platform-overrides.ts';
export {
  expectedSwitch,
  type NamesSwitch,
  type PageSizesSwitch,
  type PlatformSwitch,
  switchText,
  type SwitchVisibility,
  type WindowsSwitch,
} from './platform/platform-switch.ts';
export { PLATFORM_SWITCHES, type PlatformSwitchName } from './platform/platform-switches.ts';
export { defaultDmaLimits, type DmaLimits } from './dma/dma-limits.ts';
