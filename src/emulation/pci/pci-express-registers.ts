import { ro, rw, surviving, w1c, wo } from '../field.ts';
import { resetValue } from '../reset-value.ts';
import type { FieldStates } from '../infer.ts';
import { reg16, reg32 } from '../register.ts';

/** Fields of the PCI Express capability whose reset values a function chooses (Base Specification 5.0, 7.5.3). */
export const pciExpressFields = {
  DEVCAP: {
    /** 0 for 128 bytes to 5 for 4,096. */
    maxPayloadSupported: ro(2, 0),
    phantomFunctions: ro(4, 3),
    extendedTag: ro(5),
    l0sLatency: ro(8, 6),
    l1Latency: ro(11, 9),
    roleBasedErrorReporting: ro(15),
    slotPowerLimitValue: ro(25, 18),
    slotPowerLimitScale: ro(27, 26),
    functionLevelReset: ro(28),
  },
  DEVCTL: {
    correctableErrorReporting: rw(0),
    nonFatalErrorReporting: rw(1),
    fatalErrorReporting: rw(2),
    unsupportedRequestReporting: rw(3),
    relaxedOrdering: rw(4),
    // A function-level reset leaves it alone, as other functions of the device may depend on it (6.6.2).
    maxPayload: surviving('function', rw(7, 5)),
    extendedTag: rw(8),
    phantomFunctions: ro(9),
    auxiliaryPower: ro(10),
    noSnoop: rw(11),
    maxReadRequest: rw(14, 12),
    /** Reads 0; writing 1 resets the function. */
    initiateFunctionLevelReset: wo(15),
  },
  DEVCAP2: {
    completionTimeoutRanges: ro(3, 0),
    completionTimeoutDisable: ro(4),
    ariForwarding: ro(5),
    atomicRouting: ro(6),
    atomic32Completer: ro(7),
    atomic64Completer: ro(8),
    compareAndSwap128Completer: ro(9),
    noRelaxedPassing: ro(10),
    latencyToleranceReporting: ro(11),
    tphCompleter: ro(13, 12),
    lnSystemCls: ro(15, 14),
    tenBitTagCompleter: ro(16),
    tenBitTagRequester: ro(17),
    optimizedBufferFlush: ro(19, 18),
    extendedFormat: ro(20),
    endToEndPrefix: ro(21),
    maxEndToEndPrefixes: ro(23, 22),
    emergencyPowerReduction: ro(25, 24),
    emergencyPowerReductionInit: ro(26),
    deferrableMemoryWriteCompleter: ro(28),
    functionReadinessStatus: ro(31),
  },
} as const;

/** Values after reset. */
export interface PciExpressValues {
  /** Device/port type. */
  readonly type: number;
  readonly DEVCAP: Partial<FieldStates<typeof pciExpressFields.DEVCAP>>;
  readonly DEVCTL: Partial<FieldStates<typeof pciExpressFields.DEVCTL>>;
  readonly DEVCAP2: Partial<FieldStates<typeof pciExpressFields.DEVCAP2>>;
}

/** Type of the registers of the PCI Express capability. */
export type PciExpressRegisters = ReturnType<typeof pciExpressRegisters>;

/** Capability version in PCIE_CAPS. */
const VERSION = 2;
/** Type of a function without a link. */
const ROOT_COMPLEX_ENDPOINT = 9;
/** Speed 1 (2.5 GT/s) in bits 3:0, width 1 in bits 9:4: the same places in LNKCAP and LNKSTS. */
const SLOWEST_LINK = 1 | (1 << 4);

/** Declares the registers of the capability. */
export function pciExpressRegisters({ type, DEVCAP, DEVCTL, DEVCAP2 }: PciExpressValues) {
  const hasLink = type !== ROOT_COMPLEX_ENDPOINT;
  return {
    CAPS: reg16(
      0x02,
      { version: ro(3, 0), type: ro(7, 4), slotImplemented: ro(8), interruptMessage: ro(13, 9) },
      { reset: VERSION | (type << 4), constant: true },
    ),
    DEVCAP: reg32(0x04, pciExpressFields.DEVCAP, {
      reset: resetValue(pciExpressFields.DEVCAP, DEVCAP),
      constant: true,
    }),
    DEVCTL: reg16(0x08, pciExpressFields.DEVCTL, { reset: resetValue(pciExpressFields.DEVCTL, DEVCTL) }),
    DEVSTS: reg16(0x0a, {
      correctableError: w1c(0),
      nonFatalError: w1c(1),
      fatalError: w1c(2),
      unsupportedRequest: w1c(3),
      auxiliaryPower: ro(4),
      transactionsPending: ro(5),
    }),
    LNKCAP: reg32(
      0x0c,
      { maxSpeed: ro(3, 0), maxWidth: ro(9, 4), aspm: ro(11, 10), portNumber: ro(31, 24) },
      { reset: hasLink ? SLOWEST_LINK : 0, constant: true },
    ),
    LNKCTL: reg16(0x10, {
      // The link is not the function's alone: a function-level reset leaves it as it is (6.6.2).
      aspm: surviving('function', hasLink ? rw(1, 0) : ro(1, 0)),
      readCompletionBoundary: surviving('function', hasLink ? rw(3) : ro(3)),
      commonClock: surviving('function', hasLink ? rw(6) : ro(6)),
      extendedSync: surviving('function', hasLink ? rw(7) : ro(7)),
    }),
    LNKSTS: reg16(
      0x12,
      { speed: ro(3, 0), width: ro(9, 4), slotClock: ro(12), dataLinkActive: ro(13) },
      { reset: hasLink ? SLOWEST_LINK : 0, constant: true },
    ),
    DEVCAP2: reg32(0x24, pciExpressFields.DEVCAP2, {
      reset: resetValue(pciExpressFields.DEVCAP2, DEVCAP2),
      constant: true,
    }),
    DEVCTL2: reg16(0x28, {
      completionTimeout: rw(3, 0),
      completionTimeoutDisable: rw(4),
      latencyToleranceReporting: rw(10),
      tenBitTagRequester: rw(12),
    }),
  } as const;
}
