import type { FieldStates } from '../infer.ts';
import { type CapabilityPlace, placeOf, type StandardCapability } from './capability.ts';
import { CapabilityId } from './capability-ids.ts';
import { type pciExpressFields, type PciExpressRegisters, pciExpressRegisters } from './pci-express-registers.ts';

/** Device/port types of the PCI Express capability that have a type 0 header. */
export const PciExpressType = { endpoint: 0, legacyEndpoint: 1, rootComplexEndpoint: 9 } as const;

/** Options of {@link pciExpress}: values that registers have after reset, by field. */
export interface PciExpressOptions extends CapabilityPlace {
  /** Root complex integrated endpoint when absent: no link. */
  readonly type?: (typeof PciExpressType)[keyof typeof PciExpressType];
  /** Whether the guest may reset the function with DEVCTL bit 15. */
  readonly functionLevelReset: boolean;
  /** DEVCAP; role-based error reporting is always set. */
  readonly deviceCapabilities?: Partial<Omit<FieldStates<typeof pciExpressFields.DEVCAP>, 'functionLevelReset'>>;
  /** DEVCTL. Relaxed ordering, no snoop and read requests of 512 bytes when absent, as the specification says. */
  readonly deviceControl?: Partial<Omit<FieldStates<typeof pciExpressFields.DEVCTL>, 'initiateFunctionLevelReset'>>;
  /** DEVCAP2. */
  readonly deviceCapabilities2?: Partial<FieldStates<typeof pciExpressFields.DEVCAP2>>;
}

/**
 * PCI Express (Base Specification 5.0, 7.5.3), version 2: 60 bytes, named `PCIE`. Endpoints show a link of one lane at
 * 2.5 GT/s, which is what VMMs invent too. `PciFunction` performs the function-level reset.
 * @throws {@link DeclarationError} for a value that does not fit its field.
 */
export function pciExpress(options: PciExpressOptions): StandardCapability<'PCIE', PciExpressRegisters> {
  return {
    name: 'PCIE',
    id: CapabilityId.pciExpress,
    size: 60,
    registers: pciExpressRegisters({
      type: options.type ?? PciExpressType.rootComplexEndpoint,
      DEVCAP: {
        roleBasedErrorReporting: true,
        ...options.deviceCapabilities,
        functionLevelReset: options.functionLevelReset,
      },
      DEVCTL: options.deviceControl ?? { relaxedOrdering: true, noSnoop: true, maxReadRequest: 2 },
      DEVCAP2: options.deviceCapabilities2 ?? {},
    }),
    ...placeOf(options),
  };
}
