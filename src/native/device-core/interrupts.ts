/** The interrupts of a device, by VFIO irq index. */
export interface CoreInterrupts {
  /** Vectors of a VFIO irq index: INTx (0) up to 1, MSI (1) up to 32, MSI-X (2) up to 2,048, ERR (3) and REQ (4) up to 1. */
  setIrqCount(index: number, count: number): void;
  /** The device asserts INTx, or lets go of it: a level, which masks itself when it fires. */
  setIntxAsserted(asserted: boolean): void;
  /** COMMAND.interruptDisable: INTx does not fire. */
  setIntxDisabled(disabled: boolean): void;
  /** STATUS.interruptStatus: the level, whatever masks it. */
  intxAsserted(): boolean;
  /** Raises a vector of MSI, MSI-X, ERR or REQ; a vector without an eventfd, or masked, latches. */
  triggerIrq(index: number, vector: number): void;
  /** Keeps all vectors of MSI (1) or MSI-X (2) back: the function mask of MSI-X, or what their owner has not enabled. They latch. */
  setIrqAllMasked(index: number, masked: boolean): void;
  /** The mask of one MSI-X table entry, or MSI message. */
  setIrqMasked(index: number, vector: number, masked: boolean): void;
  /** Keeps the latch in 32-bit words of a register region (MSI-X's PBA, MSI's pending bits), so that the guest sees it. */
  bindIrqPending(index: number, region: number, offset: number): void;
  irqPending(index: number, vector: number): boolean;
  /** FLR: forgets what is latched and every mask of the device's, and deasserts INTx; eventfds stay. */
  resetIrqs(index: number): void;
  /**
   * VFIO_DEVICE_SET_IRQS with the values of <linux/vfio.h>.
   *
   * @param data booleans of a BOOL request, or null.
   * @param fds eventfds (duplicated); -1 removes a vector's eventfd, and no fds at all remove those of the whole range.
   * @returns 0, EINVAL or ENOTTY; ENOMEM or EMFILE when an eventfd that unmasks INTx cannot be watched.
   */
  setIrqs(
    flags: number,
    index: number,
    start: number,
    count: number,
    data: Uint8Array | null,
    fds: readonly number[],
  ): number;

  /** While held, the device raises nothing but REQ: INTx keeps its level, messages latch. */
  setInterruptsHeld(held: boolean): void;
  /** While held, MSI and MSI-X latch; what has latched goes out when they no longer are. Not at first. */
  setMessagesHeld(held: boolean): void;
  /** Masks, latched vectors and INTx's level, as bytes. No eventfds. */
  interruptState(): Uint8Array;
  /** Whether these are the bytes of a device with the same vectors. */
  fitsInterruptState(state: Uint8Array): boolean;
  /**
   * Takes over the device's part of such a state; what the client has set, and what is meant for it alone, stays.
   *
   * @returns 0, or EINVAL with nothing changed.
   */
  adoptInterruptState(state: Uint8Array): number;
}
