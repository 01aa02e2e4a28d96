import { DeclarationError } from '../declaration-error.ts';
import type { Field } from '../field.ts';
import { ro, rw, w1c } from '../field.ts';
import { reg16, reg8 } from '../register.ts';
import { type CapabilityPlace, placeOf, type StandardCapability } from './capability.ts';
import { CapabilityId } from './capability-ids.ts';
import { sticky } from './sticky.ts';

/** Power states in the order of their bits in PMC.pme. */
const PME_STATES = ['D0', 'D1', 'D2', 'D3hot', 'D3cold'] as const;

/** A power state from which a function may raise PME. */
export type PmeState = (typeof PME_STATES)[number];

/** Options of {@link powerManagement}. */
export interface PowerManagementOptions extends CapabilityPlace {
  /** Whether D1 is supported; false when absent. */
  readonly d1?: boolean;
  /** Whether D2 is supported; false when absent. */
  readonly d2?: boolean;
  /** Whether the function keeps its state from D3hot to D0; true when absent. */
  readonly noSoftReset?: boolean;
  /** Power states from which the function raises PME; none when absent. */
  readonly pme?: readonly PmeState[];
}

/** Type of the registers of {@link powerManagement}. */
export type PowerManagementRegisters = ReturnType<typeof registers>;

function registers({ d1 = false, d2 = false, noSoftReset = true, pme = [] }: PowerManagementOptions) {
  const pmeBits = pme.reduce((bits, state) => bits | (1 << PME_STATES.indexOf(state)), 0);
  // What must outlast the loss of main power outlasts resets too.
  const kept: <F extends Field>(field: F) => F = pme.includes('D3cold')
    ? (field) => sticky(field) as typeof field
    : (field) => field;
  return {
    PMC: reg16(
      0x02,
      {
        version: ro(2, 0),
        pmeClock: ro(3),
        immediateReadiness: ro(4),
        deviceSpecificInitialization: ro(5),
        auxiliaryCurrent: ro(8, 6),
        d1: ro(9),
        d2: ro(10),
        pme: ro(15, 11),
      },
      { reset: 3 | (d1 ? 1 << 9 : 0) | (d2 ? 1 << 10 : 0) | (pmeBits << 11), constant: true },
    ),
    PMCSR: reg16(
      0x04,
      {
        powerState: rw(1, 0),
        noSoftReset: ro(3),
        pmeEnable: kept(pmeBits === 0 ? ro(8) : rw(8)),
        dataSelect: ro(12, 9),
        dataScale: ro(14, 13),
        pmeStatus: kept(pmeBits === 0 ? ro(15) : w1c(15)),
      },
      { reset: noSoftReset ? 1 << 3 : 0 },
    ),
    DATA: reg8(0x07, { data: ro(7, 0) }),
  } as const;
}

/**
 * PCI Power Management (Bus Power Management Interface Specification 1.2, 3.2; Base Specification 5.0, 7.5.2): 8 bytes,
 * named `PM`. `PciFunction` ignores the states that are not supported, switches decoding off outside D0, and resets the
 * function on its way from D3hot to D0 unless it says that it keeps its state.
 *
 * @throws {@link DeclarationError} for a PME from D1 or D2 where that is not supported, or from no power state
 */
export function powerManagement(
  options: PowerManagementOptions = {},
): StandardCapability<'PM', PowerManagementRegisters> {
  const { d1 = false, d2 = false, pme = [] } = options;
  for (const state of pme)
    if (!PME_STATES.includes(state) || (state === 'D1' && !d1) || (state === 'D2' && !d2))
      throw new DeclarationError(`powerManagement: PME from ${state}, which is not supported`);
  return {
    name: 'PM',
    id: CapabilityId.powerManagement,
    size: 8,
    registers: registers(options),
    ...placeOf(options),
  };
}
