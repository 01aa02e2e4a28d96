/** Capability ids that this package acts on (PCI Code and ID Assignment Specification). */
export const CapabilityId = { powerManagement: 0x01, pciExpress: 0x10, msix: 0x11 } as const;
