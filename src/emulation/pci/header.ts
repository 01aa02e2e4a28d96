import { ro, rw, w1c } from '../field.ts';
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
}

/** Type of the registers of {@link headerRegisters}. */
export type HeaderRegisters = ReturnType<typeof headerRegisters>;

/**
 * The type 0 header (PCI Local Bus Specification 3.0, 6.1) but for its BARs.
 *
 * @param capabilities - offset of the first capability, 0 for none
 */
export function headerRegisters(identity: PciIdentity, capabilities: number) {
  const { vendorId, deviceId, classCode, revisionId = 0 } = identity;
  const { subsystemVendorId = vendorId, subsystemId = 0, interruptPin = 0 } = identity;
  const hasPin = interruptPin !== 0;
  return {
    VENDOR_ID: reg16(0x00, { id: ro(15, 0) }, { reset: vendorId, constant: true }),
    DEVICE_ID: reg16(0x02, { id: ro(15, 0) }, { reset: deviceId, constant: true }),
    COMMAND: reg16(0x04, {
      ioSpace: ro(0),
      memorySpace: rw(1),
      busMaster: rw(2),
      parityErrorResponse: rw(6),
      systemErrorEnable: rw(8),
      interruptDisable: hasPin ? rw(10) : ro(10),
    }),
    STATUS: reg16(
      0x06,
      {
        interruptStatus: ro(3),
        capabilitiesList: ro(4),
        masterDataParityError: w1c(8),
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
    LATENCY_TIMER: reg8(0x0d, { timer: ro(7, 0) }),
    HEADER_TYPE: reg8(0x0e, { layout: ro(6, 0), multiFunction: ro(7) }, { constant: true }),
    BIST: reg8(0x0f, { control: ro(7, 0) }),
    SUBSYSTEM_VENDOR_ID: reg16(0x2c, { id: ro(15, 0) }, { reset: subsystemVendorId, constant: true }),
    SUBSYSTEM_ID: reg16(0x2e, { id: ro(15, 0) }, { reset: subsystemId, constant: true }),
    CAPABILITIES_POINTER: reg8(0x34, { offset: ro(7, 0) }, { reset: capabilities, constant: true }),
    INTERRUPT_LINE: reg8(0x3c, { line: hasPin ? rw(7, 0) : ro(7, 0) }),
    INTERRUPT_PIN: reg8(0x3d, { pin: ro(7, 0) }, { reset: interruptPin, constant: true }),
  } as const;
}
