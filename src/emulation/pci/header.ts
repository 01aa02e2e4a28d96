import { DeclarationError } from '../declaration-error.ts';
import { ro, rw, w1c, w1s } from '../field.ts';
import { reg16, reg32, reg8 } from '../register.ts';

/** Identity of a PCI function. */
export interface PciIdentity {
  /** 16 bits. */
  readonly vendorId: number;
  /** 16 bits. */
  readonly deviceId: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  /** 8 bits, 0 when absent. */
  readonly revisionId?: number;
  /** 16 bits; the vendor id when absent. */
  readonly subsystemVendorId?: number;
  /** 16 bits, 0 when absent. */
  readonly subsystemId?: number;
  /** INTx pin: 1 for INTA# to 4 for INTD#; 0, also when absent, for none. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** Offset and address space of the card information structure; 0 when absent. */
  readonly cisPointer?: number;
  /** Burst period in units of 250 ns, 0 when absent; conventional PCI only. */
  readonly minimumGrant?: number;
  /** How often the bus is needed, in units of 250 ns, 0 when absent; conventional PCI only. */
  readonly maximumLatency?: number;
  /** Whether the guest may start a self test; the device clears `BIST.start` when it is done. False when absent. */
  readonly selfTest?: boolean;
}

/** What the rest of a config space means for its header. */
export interface HeaderContext {
  /** Offset of the first capability, 0 for none. */
  readonly capabilities: number;
  /** Whether there is a BAR for I/O ports. */
  readonly hasIo: boolean;
  /** Whether there is a PCI Express capability: some registers of conventional PCI are hardwired then. */
  readonly express: boolean;
}

/** Type of the registers of {@link headerRegisters}. */
export type HeaderRegisters = ReturnType<typeof headerRegisters>;

/**
 * The type 0 header (PCI Local Bus Specification 3.0, 6.1 and 6.2; PCI Express Base Specification 5.0, 7.5.1) but for its
 * BARs and expansion ROM.
 *
 * @throws {@link DeclarationError} for a pin, a grant or a latency that a function of this kind cannot have
 */
export function headerRegisters(identity: PciIdentity, { capabilities, hasIo, express }: HeaderContext) {
  checkIdentity(identity, express);
  const { vendorId, deviceId, classCode, revisionId = 0, selfTest = false } = identity;
  const { subsystemVendorId = vendorId, subsystemId = 0, interruptPin = 0 } = identity;
  const { cisPointer = 0, minimumGrant = 0, maximumLatency = 0 } = identity;
  const hasPin = interruptPin !== 0;
  return {
    VENDOR_ID: reg16(0x00, { id: ro(15, 0) }, { reset: vendorId, constant: true }),
    DEVICE_ID: reg16(0x02, { id: ro(15, 0) }, { reset: deviceId, constant: true }),
    COMMAND: reg16(0x04, {
      ioSpace: hasIo ? rw(0) : ro(0),
      memorySpace: rw(1),
      busMaster: rw(2),
      specialCycles: ro(3),
      memoryWriteInvalidate: ro(4),
      vgaPaletteSnoop: ro(5),
      parityErrorResponse: rw(6),
      systemErrorEnable: rw(8),
      fastBackToBack: ro(9),
      interruptDisable: hasPin ? rw(10) : ro(10),
    }),
    STATUS: reg16(
      0x06,
      {
        immediateReadiness: ro(0),
        interruptStatus: ro(3),
        capabilitiesList: ro(4),
        clock66MHz: ro(5),
        fastBackToBack: ro(7),
        masterDataParityError: w1c(8),
        deviceSelectTiming: ro(10, 9),
        signaledTargetAbort: w1c(11),
        receivedTargetAbort: w1c(12),
        receivedMasterAbort: w1c(13),
        signaledSystemError: w1c(14),
        detectedParityError: w1c(15),
      },
      { reset: capabilities === 0 ? 0 : 1 << 4 },
    ),
    CLASS_REVISION: reg32(
      0x08,
      { revisionId: ro(7, 0), classCode: ro(31, 8) },
      { reset: classCode * 0x100 + revisionId, constant: true },
    ),
    CACHE_LINE_SIZE: reg8(0x0c, { size: rw(7, 0) }),
    // The low bits are a granularity of 8 clocks.
    LATENCY_TIMER: reg8(0x0d, { timer: express ? ro(7, 3) : rw(7, 3) }),
    HEADER_TYPE: reg8(0x0e, { layout: ro(6, 0), multiFunction: ro(7) }, { constant: true }),
    BIST: reg8(
      0x0f,
      { completionCode: ro(3, 0), start: selfTest ? w1s(6) : ro(6), capable: ro(7) },
      { reset: selfTest ? 1 << 7 : 0 },
    ),
    CARDBUS_CIS: reg32(0x28, { pointer: ro(31, 0) }, { reset: cisPointer, constant: true }),
    SUBSYSTEM_VENDOR_ID: reg16(0x2c, { id: ro(15, 0) }, { reset: subsystemVendorId, constant: true }),
    SUBSYSTEM_ID: reg16(0x2e, { id: ro(15, 0) }, { reset: subsystemId, constant: true }),
    CAPABILITIES_POINTER: reg8(0x34, { offset: ro(7, 0) }, { reset: capabilities, constant: true }),
    INTERRUPT_LINE: reg8(0x3c, { line: hasPin ? rw(7, 0) : ro(7, 0) }),
    INTERRUPT_PIN: reg8(0x3d, { pin: ro(7, 0) }, { reset: interruptPin, constant: true }),
    MIN_GNT: reg8(0x3e, { period: ro(7, 0) }, { reset: minimumGrant, constant: true }),
    MAX_LAT: reg8(0x3f, { period: ro(7, 0) }, { reset: maximumLatency, constant: true }),
  } as const;
}

function checkIdentity(identity: PciIdentity, express: boolean): void {
  const { classCode, revisionId = 0, interruptPin = 0, minimumGrant = 0, maximumLatency = 0 } = identity;
  // They share a register, where a wide revision would become a part of the class.
  for (const [name, value, bits] of [['classCode', classCode, 24] as const, ['revisionId', revisionId, 8] as const])
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      throw new DeclarationError(`configSpace: ${name} is ${value}; expected a whole number of ${bits} bits`);
  if (!Number.isInteger(interruptPin) || interruptPin < 0 || interruptPin > 4)
    throw new DeclarationError(`configSpace: interrupt pin ${interruptPin}, expected 0 to 4`);
  if (express && (minimumGrant !== 0 || maximumLatency !== 0))
    throw new DeclarationError(
      `configSpace: minimum grant ${minimumGrant} and maximum latency ${maximumLatency}, which are 0 with PCI Express`,
    );
}
