export {
  advancedErrorReporting,
  type AdvancedErrorReportingOptions,
  type AdvancedErrorReportingRegisters,
} from './aer.ts';
export type { CorrectableError, UncorrectableError } from './aer-errors.ts';
export { addressTranslation, type AddressTranslationOptions, type AddressTranslationRegisters } from './ats.ts';
export { type Bar, type BarNumber, type Bars, type IoBar, ioBar, type MemoryBar, memoryBar } from './bar.ts';
export type { BarRegisters } from './bar-registers.ts';
export {
  type Capability,
  capability,
  type CapabilityPlace,
  type ExtendedCapability,
  type PlacedCapability,
  type StandardCapability,
} from './capability.ts';
export type { CapabilityHeader } from './capability-header.ts';
export { CapabilityId, ExtendedCapabilityId } from './capability-ids.ts';
export { type ConfigSpace, configSpace, type ConfigSpaceOptions, type ConfigSpaceRegisters } from './config-space.ts';
export type { ExpansionRom, ExpansionRomRegister } from './expansion-rom.ts';
export type { HeaderRegisters, PciIdentity } from './header.ts';
export { PciFunction } from './function.ts';
export type { MsiControl, MsixControl, PciHost, PowerState } from './pci-host.ts';
export { hideCapabilities, type HiddenParts } from './hide-capabilities.ts';
export { msi, type MsiCapabilityRegisters, type MsiOptions } from './msi.ts';
export { msix, type MsixCapabilityRegisters, type MsixOptions, type MsixPlace } from './msix.ts';
export { msixPending, type MsixRegisters, msixRegisters, msixTable } from './msix-registers.ts';
export { deviceSerialNumber, type DeviceSerialNumberRegisters } from './device-serial-number.ts';
export { pageRequest, type PageRequestOptions, type PageRequestRegisters } from './page-request.ts';
export { pasid, type PasidOptions, type PasidRegisters } from './pasid.ts';
export type { ErrorMessage, PciError } from './record-error.ts';
export {
  vendorSpecific,
  vendorSpecificExtended,
  type VendorSpecificExtendedOptions,
  type VendorSpecificExtendedRegisters,
  type VendorSpecificOptions,
  type VendorSpecificRegisters,
} from './vendor-specific.ts';
export { pciExpress, type PciExpressOptions, PciExpressType } from './pci-express.ts';
export type { PciExpressRegisters } from './pci-express-registers.ts';
export {
  type PmeState,
  powerManagement,
  type PowerManagementOptions,
  type PowerManagementRegisters,
} from './power-management.ts';
