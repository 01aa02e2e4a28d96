/**
 * INTx of an instance: a level. It is there when the function declares an interrupt pin.
 *
 * The line fires once while it is asserted, and again when the guest has serviced it and it still is. It is what the guest
 * reads in STATUS.interruptStatus. A reset deasserts it. COMMAND.interruptDisable, an enabled MSI or MSI-X, and any power
 * state but D0 keep it back.
 */
export interface IntxInterrupt {
  /** 1 with an interrupt pin, 0 without. */
  readonly count: number;
  /** Whether the device asserts the line. */
  readonly asserted: boolean;
  /**
   * Asserts the line, until `deassert`.
   * @throws RangeError when the function has no interrupt pin.
   */
  assert(): void;
  /**
   * Lets go of the line. What has not fired yet is forgotten.
   * @throws RangeError when the function has no interrupt pin.
   */
  deassert(): void;
}

/** The message-signalled interrupts of an instance: those of its MSI, or of its MSI-X capability. */
export interface MessageInterrupts {
  /** How many there are; 0 without the capability. */
  readonly count: number;
  /**
   * Raises one. A masked vector, or one whose client has not given an eventfd yet, is latched and fires later. A guest may
   * give a function fewer MSI messages than it asks for: then the higher ones share them, vector n being message n modulo
   * their number.
   * @throws RangeError for a vector that does not exist.
   */
  trigger(vector: number): void;
}

/** An event that VFIO gives an irq index of its own. */
export interface EventInterrupt {
  /** 1, or 0 where the function does not have it. */
  readonly count: number;
  /**
   * Signals it. Without an eventfd it is latched, as long as this client holds the instance.
   * @throws RangeError when the function does not have it.
   */
  trigger(): void;
}

/** All interrupts of an instance, by VFIO irq index. What its function declares is there; the others have a count of 0. */
export interface DeviceInterrupts {
  /** There when the function has an interrupt pin. */
  readonly intx: IntxInterrupt;
  /** There with an MSI capability. */
  readonly msi: MessageInterrupts;
  /** There with an MSI-X capability. */
  readonly msix: MessageInterrupts;
  /**
   * ERR, there with a PCI Express capability: an error from which the device cannot recover by itself. QEMU stops its guest
   * on it.
   */
  readonly error: EventInterrupt;
  /** REQ, always there: the client is asked to let go of the device. */
  readonly request: EventInterrupt;
}
