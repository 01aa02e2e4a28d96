import { CapabilityId, type ConfigSpace } from '../../emulation/index.ts';

/** What the MSI capability of a config space says. */
export interface MsiCapability {
  /** Byte offset in config space. */
  readonly offset: number;
  /** Addresses have 64 bits. */
  readonly address64: boolean;
  /** Messages that the function asks for, 1 to 32. */
  readonly vectors: number;
  /** Byte offset of the pending bits in config space; undefined without per-vector masking. */
  readonly pending: number | undefined;
}

/** Message control, behind the capability's header (PCI Local Bus Specification 3.0, 6.8.1.3). */
const CONTROL_OFFSET = 2;
const ADDRESS_64 = 1 << 7;
const PER_VECTOR_MASKING = 1 << 8;

/**
 * Reads the MSI capability, this package's or a vendor's own; undefined when there is none. Encodings of Multiple Message
 * Capable above 5 are reserved.
 */
export function msiCapabilityOf({ capabilities }: ConfigSpace): MsiCapability | undefined {
  const capability = capabilities.find(({ id, version }) => id === CapabilityId.msi && version === undefined);
  if (capability === undefined) return undefined;
  const control = Object.values(capability.registers).find(({ offset }) => offset === CONTROL_OFFSET);
  const value = control?.kind === 'register' ? Number(control.options.reset ?? 0) : 0;
  const pending = capability.offset + ((value & ADDRESS_64) !== 0 ? 0x14 : 0x10);
  return {
    offset: capability.offset,
    address64: (value & ADDRESS_64) !== 0,
    vectors: 1 << Math.min((value >> 1) & 7, 5),
    pending: (value & PER_VECTOR_MASKING) !== 0 ? pending : undefined,
  };
}
