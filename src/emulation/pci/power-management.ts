import { ro, rw } from '../field.ts';
import { reg16 } from '../register.ts';
import type { StandardCapability } from './capability.ts';
import { CapabilityId } from './capability-ids.ts';

/** Options of {@link powerManagement}. */
export interface PowerManagementOptions {
  /** Byte offset in config space. */
  readonly offset?: number;
  /** Whether D1 is supported; false when absent. */
  readonly d1?: boolean;
  /** Whether D2 is supported; false when absent. */
  readonly d2?: boolean;
  /** Whether the function keeps its state from D3hot to D0; true when absent. */
  readonly noSoftReset?: boolean;
}

/** Type of the registers of {@link powerManagement}. */
export type PowerManagementRegisters = ReturnType<typeof registers>;

function registers(d1: boolean, d2: boolean, noSoftReset: boolean) {
  return {
    PMC: reg16(
      0x02,
      { version: ro(2, 0), deviceSpecificInitialization: ro(5), d1: ro(9), d2: ro(10), pme: ro(15, 11) },
      { reset: 3 | (d1 ? 1 << 9 : 0) | (d2 ? 1 << 10 : 0), constant: true },
    ),
    PMCSR: reg16(0x04, { powerState: rw(1, 0), noSoftReset: ro(3) }, { reset: noSoftReset ? 1 << 3 : 0 }),
  } as const;
}

/**
 * PCI Power Management (specification 1.2, 3.2): 8 bytes, named `PM`, without PME. `PciFunction` ignores the states that
 * are not supported and switches memory decode off outside D0.
 */
export function powerManagement(
  options: PowerManagementOptions = {},
): StandardCapability<'PM', PowerManagementRegisters> {
  const { offset, d1 = false, d2 = false, noSoftReset = true } = options;
  return {
    name: 'PM',
    id: CapabilityId.powerManagement,
    size: 8,
    registers: registers(d1, d2, noSoftReset),
    ...(offset === undefined ? {} : { offset }),
  };
}
