/**
 * Mediated devices: parents, types, instances and their registry.
 *
 * @packageDocumentation
 */
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
export type { MdevBehaviour, RegionHooks } from './type/behaviour.ts';
export type { DeviceMemories, DeviceRegion, DeviceRegions, MdevContext, MdevServices } from './type/context.ts';
export type { ConfigHooks, DeviceConfigSpace } from './type/device-config-space.ts';
export type { ErrorReport } from './errors/device-errors.ts';
export type { DeviceDma, TransferOptions } from './dma/device-dma.ts';
export type {
  DeviceInterrupts,
  EventInterrupt,
  IntxInterrupt,
  MessageInterrupts,
} from './interrupts/device-interrupts.ts';
export { type DmaInfo, eventfd, type EventFd, memoryFile, type MemoryFile } from '../native/binding.ts';
export { defaultDmaLimits, type DmaLimits } from './dma/dma-limits.ts';
export { DmaLogging } from './dma/dma-logging.ts';
export { DeviceFeature } from './vfio/features.ts';
export { Container, type ContainerInfo, type ContainerOptions } from './iommu/container.ts';
export type { IommuGroup } from './iommu/iommu-group.ts';
export type { IommuModel } from './iommu/iommu-model.ts';
export type { IoEventFd } from './regions/io-event-fd.ts';
export { LIFE_CYCLE, type MdevState, type MdevTransition } from './device/life-cycle.ts';
export { MdevError, type MdevErrorCode } from './errors/mdev-error.ts';
export {
  type CreateOptions,
  MdevRegistry,
  type MdevRegistryEvents,
  type Removal,
  type RemoveOptions,
} from './registry/mdev-registry.ts';
export type { PciDeclaration } from './type/device-declaration.ts';
export { defineMdevType, type MdevType, type MdevTypeDeclaration } from './type/mdev-type.ts';
export { type Migration, MigrationFlag, MigrationState, type Settle } from './migration/migration.ts';
export type { MigrationBehaviour } from './migration/migration-behaviour.ts';
export type { StateTransfer, SuspendOptions, TransferLimit } from './migration/state-transfer.ts';
export { migrationPath } from './migration/migration-path.ts';
export { type InstanceIdentity, ParentDevice, type ParentDeviceOptions } from './registry/parent-device.ts';
export { defaultPlatformCapabilities, type PlatformCapabilities } from './platform/platform-capabilities.ts';
export { expectedSwitch, parsePlatform, PLATFORM_SWITCHES, type PlatformSwitch } from './platform/platform-switches.ts';
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
export type { ResourcePool } from './registry/resource-pool.ts';
export { generateUuid, parseUuid } from './base/uuid.ts';
export type { MappedArea, MappedRegion } from './vfio/mapped-region.ts';
export { SynchronousSession } from './session/synchronous-session.ts';
export type { IrqLine } from './vfio/irq-lines.ts';
export { type IrqListener, VfioDevice } from './vfio/vfio-device.ts';
export { VfioError } from './vfio/vfio-error.ts';
export type { DmaMapRequest, DmaRange, FeatureRequest, SetIrqsRequest, WriteOptions } from './vfio/vfio-requests.ts';
export {
  type DeviceInfo,
  type IrqInfo,
  type MmapArea,
  type RegionCapabilities,
  type RegionInfo,
  type RegionMap,
  VFIO_IRQS,
  VFIO_REGIONS,
  VfioDeviceFlag,
  VfioDmaFlag,
  VFIO_REGIONS_MAX,
  VfioIrq,
  VfioIrqFlag,
  VfioIrqSetFlag,
  VfioRegion,
  VfioRegionFlag,
} from './vfio/vfio.ts';
export type { Attachment, Holder } from './device/attachment.ts';
export type { DeviceHandle } from '../native/device-handle.ts';
export {
  AddressSpace,
  type AddressSpaceInfo,
  type AddressSpaceMap,
  type AddressSpaceOptions,
} from './sva/address-space.ts';
export type { DeviceSva } from './sva/device-sva.ts';
export type { PageRequest, PageRequestGroup, PageResponse } from './sva/page-request.ts';
export type { PageRequestListener } from './sva/page-requests.ts';
export type { SessionSva, SvaInfo } from './sva/session-sva.ts';
export type { Invalidation, SvaBehaviour } from './sva/sva-behaviour.ts';
export type { SvaDeclaration } from './sva/sva-declaration.ts';
export type { BarDescription, CapabilityDescription, DeviceDescription } from './type/device-description.ts';
export { DeviceSession } from './session/device-session.ts';
export type { GuestError } from './errors/guest-errors.ts';
export { HookFailure } from './errors/hook-guard.ts';
export type { InterruptMessage } from './interrupts/interrupt-message.ts';
export type { OpenOptions } from './device/device-hold.ts';
export { MdevDevice } from './device/mdev-device.ts';
export type { MdevDeviceEvents, MdevFailure } from './device/mdev-device-events.ts';
export type { ResetCause } from './function/reset-cause.ts';
