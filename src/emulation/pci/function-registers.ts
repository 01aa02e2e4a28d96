import type { RegisterBlock, Registers } from '../block.ts';
import type { RegisterFile, RegisterView } from '../infer.ts';
import type { RegisterRegion } from '../region.ts';
import { CORRECTABLE_ERRORS, UNCORRECTABLE_ERRORS } from './aer-errors.ts';
import type { Capability } from './capability.ts';
import { CapabilityId, ExtendedCapabilityId } from './capability-ids.ts';
import type { ConfigSpace } from './config-space.ts';
import type { ExpansionRomRegister } from './expansion-rom.ts';
import type { MsiCapabilityRegisters } from './msi.ts';
import type { MsixCapabilityRegisters } from './msix.ts';
import type { ErrorRegisters } from './record-error.ts';
import type { PowerManagementRegisters } from './power-management.ts';

/** Names of the capabilities on which a function acts; undefined where there is none. */
export interface FunctionCapabilities {
  readonly pciExpress: string | undefined;
  readonly aer: string | undefined;
  readonly msi: string | undefined;
  /** Whether MSI vectors can be masked one by one. */
  readonly msiMasking: boolean;
  readonly msix: string | undefined;
  readonly powerManagement: string | undefined;
}

/** The registers on which a function acts, from the device's side. */
export interface FunctionRegisters extends ErrorRegisters {
  readonly expansionRom: RegisterView<ExpansionRomRegister['EXPANSION_ROM']>;
  readonly msi: RegisterFile<RegisterBlock<MsiCapabilityRegisters>> | undefined;
  readonly msiMask: RegisterView<MsiCapabilityRegisters<true, true>['MASK']> | undefined;
  readonly msix: RegisterFile<RegisterBlock<MsixCapabilityRegisters>> | undefined;
  readonly powerManagement: RegisterFile<RegisterBlock<PowerManagementRegisters>> | undefined;
}

type Needed = Readonly<Record<string, readonly string[]>>;

/** What a capability must declare for a function to act on it, by register. */
const AER = {
  UNCORRECTABLE_STATUS: UNCORRECTABLE_ERRORS,
  UNCORRECTABLE_MASK: UNCORRECTABLE_ERRORS,
  UNCORRECTABLE_SEVERITY: UNCORRECTABLE_ERRORS,
  CORRECTABLE_STATUS: CORRECTABLE_ERRORS,
  CORRECTABLE_MASK: CORRECTABLE_ERRORS,
  CONTROL: ['firstErrorPointer'],
  HEADER_LOG0: ['data'],
  HEADER_LOG1: ['data'],
  HEADER_LOG2: ['data'],
  HEADER_LOG3: ['data'],
};
const PCI_EXPRESS = {
  DEVSTS: ['correctableError', 'nonFatalError', 'fatalError', 'unsupportedRequest'],
  DEVCAP: ['functionLevelReset'],
  DEVCTL: [
    'initiateFunctionLevelReset',
    'correctableErrorReporting',
    'nonFatalErrorReporting',
    'fatalErrorReporting',
    'unsupportedRequestReporting',
  ],
};
const MSI = { CONTROL: ['enable', 'multipleMessageCapable', 'multipleMessageEnable'] };
const MSI_MASKING = { ...MSI, MASK: ['vectors'] };
const MSIX = { CONTROL: ['functionMask', 'enable'] };
const POWER_MANAGEMENT = { PMC: ['d1', 'd2'], PMCSR: ['powerState', 'noSoftReset'] };

/** Finds the capabilities: those whose id, registers and fields fit, ours or a vendor's own. */
export function functionCapabilities({ capabilities }: ConfigSpace): FunctionCapabilities {
  const find = (id: number, needed: Needed, extended = false): string | undefined =>
    capabilities.find(
      (capability) =>
        capability.id === id && (capability.version !== undefined) === extended && declares(capability, needed),
    )?.name;
  return {
    aer: find(ExtendedCapabilityId.advancedErrorReporting, AER, true),
    pciExpress: find(CapabilityId.pciExpress, PCI_EXPRESS),
    msi: find(CapabilityId.msi, MSI),
    msiMasking: find(CapabilityId.msi, MSI_MASKING) !== undefined,
    msix: find(CapabilityId.msix, MSIX),
    powerManagement: find(CapabilityId.powerManagement, POWER_MANAGEMENT),
  };
}

function declares(capability: Capability, needed: Needed): boolean {
  return Object.entries(needed).every(([name, fields]) => {
    const register = Object.hasOwn(capability.registers, name) ? capability.registers[name] : undefined;
    return register?.kind === 'register' && fields.every((field) => Object.hasOwn(register.fields, field));
  });
}

/** The views of a region of this config space. {@link functionCapabilities} checked that they have these fields. */
export function functionRegisters<R extends Registers>(
  region: RegisterRegion<RegisterBlock<R>>,
  names: FunctionCapabilities,
): FunctionRegisters {
  const file = region.registers as Readonly<Record<string, object>>;
  const at = (name: string | undefined): object | undefined => (name === undefined ? undefined : file[name]);
  const msi = at(names.msi) as Readonly<Record<string, object>> | undefined;
  return {
    command: file['COMMAND'],
    status: file['STATUS'],
    aer: at(names.aer),
    expansionRom: file['EXPANSION_ROM'],
    pciExpress: at(names.pciExpress),
    msi,
    msiMask: names.msiMasking ? msi?.['MASK'] : undefined,
    msix: at(names.msix),
    powerManagement: at(names.powerManagement),
  } as FunctionRegisters;
}
