import type { ConfigSpace } from '../emulation/index.ts';

/** Capability id of MSI (PCI Code and ID Assignment Specification). */
const MSI = 0x05;
/** Message control, behind the capability's header. */
const CONTROL_OFFSET = 2;

/**
 * How many messages the MSI capability of a config space has, this package's or a vendor's own (Multiple Message Capable;
 * PCI Local Bus Specification 3.0, 6.8.1.3); 0 without one. Encodings above 5 are reserved.
 */
export function msiVectorsOf({ capabilities }: ConfigSpace): number {
  const capability = capabilities.find(({ id, version }) => id === MSI && version === undefined);
  if (capability === undefined) return 0;
  const control = Object.values(capability.registers).find(({ offset }) => offset === CONTROL_OFFSET);
  const value = control?.kind === 'register' ? Number(control.options.reset ?? 0) : 0;
  return 1 << Math.min((value >> 1) & 7, 5);
}
