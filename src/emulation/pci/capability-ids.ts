/** Capability ids that this package declares (PCI Code and ID Assignment Specification). */
export const CapabilityId = {
  powerManagement: 0x01,
  msi: 0x05,
  vendorSpecific: 0x09,
  pciExpress: 0x10,
  msix: 0x11,
} as const;

/** Extended capability ids that this package declares. */
export const ExtendedCapabilityId = {
  advancedErrorReporting: 0x0001,
  deviceSerialNumber: 0x0003,
  vendorSpecific: 0x000b,
  addressTranslation: 0x000f,
  pageRequest: 0x0013,
  pasid: 0x001b,
} as const;
