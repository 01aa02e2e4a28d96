import { CapabilityId, type ConfigSpace } from '../../emulation/index.ts';

/** What the MSI-X capability of a config space says. */
export interface MsixPlaces {
  readonly vectors: number;
  /** The BAR, which is its VFIO region index too, and the byte offset in it. */
  readonly table: { readonly region: number; readonly offset: number };
  readonly pending: { readonly region: number; readonly offset: number };
}

/** Bits of the table's and the pending bits' registers that select the BAR (PCI Local Bus Specification 3.0, 6.8.2). */
const BAR_BITS = 0x7;
const TABLE_SIZE_BITS = 0x7ff;

/** Reads the MSI-X capability, this package's or a vendor's own; undefined when there is none. */
export function msixPlacesOf(configSpace: ConfigSpace): MsixPlaces | undefined {
  const capability = configSpace.capabilities.find(
    ({ id, version }) => id === CapabilityId.msix && version === undefined,
  );
  if (capability === undefined) return undefined;
  const valueAt = (offset: number): number => {
    const register = Object.values(capability.registers).find((item) => item.offset === offset);
    return register?.kind === 'register' ? Number(register.options.reset ?? 0) : 0;
  };
  const place = (value: number): { region: number; offset: number } => ({
    region: value & BAR_BITS,
    offset: (value & ~BAR_BITS) >>> 0,
  });
  return { vectors: (valueAt(2) & TABLE_SIZE_BITS) + 1, table: place(valueAt(4)), pending: place(valueAt(8)) };
}
