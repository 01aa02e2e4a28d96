/** Power state of a function: D0, D1, D2, D3hot. */
export type PowerState = 0 | 1 | 2 | 3;

/** MSI as the capability's control register says. */
export interface MsiControl {
  readonly enabled: boolean;
  /** Vectors that the guest gave: 1 to 32, a power of two, at most what the function asks for. */
  readonly vectors: number;
}

/** MSI-X as the capability's control register says. */
export interface MsixControl {
  readonly enabled: boolean;
  /** All vectors are masked. */
  readonly masked: boolean;
}

/**
 * What a {@link PciFunction} tells the device that it belongs to. Each is called once per change, inside the access that
 * made it. Reset leaves all of them false or 0.
 */
export interface PciHost {
  /** Whether the memory BARs answer: COMMAND says so and the function is in D0. */
  memoryDecode?(enabled: boolean): void;
  /** Whether the I/O BARs answer: COMMAND says so and the function is in D0. */
  ioDecode?(enabled: boolean): void;
  /** Whether the expansion ROM answers: memory BARs do and its own register says so. */
  romDecode?(enabled: boolean): void;
  /** Whether the function may access memory and raise MSI and MSI-X: COMMAND says so and the function is in D0. */
  busMaster?(enabled: boolean): void;
  /**
   * Whether INTx must not be asserted: COMMAND.interruptDisable is set, MSI or MSI-X is enabled, or the function is not in
   * D0.
   */
  intxDisabled?(disabled: boolean): void;
  /**
   * Asked when the guest reads STATUS of a function with an interrupt pin: whether an INTx interrupt is pending in the
   * device, whatever COMMAND.interruptDisable says.
   */
  interruptStatus?(): boolean;
  /**
   * The guest started a function-level reset (`flr`), or left D3hot without "no soft reset" (`power`). Config space is reset
   * already.
   */
  functionReset?(cause: 'flr' | 'power'): void;
  /** MSI was enabled or disabled, or was given another number of vectors. */
  msiControl?(control: MsiControl): void;
  /** The guest masks these MSI vectors: bit n is vector n. Told before `msiControl`, if one access changes both. */
  msiMask?(mask: number): void;
  /** MSI-X was enabled, disabled, masked or unmasked as a whole. */
  msixControl?(control: MsixControl): void;
  /** The power state changed. */
  powerState?(state: PowerState): void;
}
