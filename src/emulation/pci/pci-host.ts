/** Power state of a function: D0, D1, D2, D3hot. */
export type PowerState = 0 | 1 | 2 | 3;

/** MSI-X as the capability's control register says. */
export interface MsixControl {
  readonly enabled: boolean;
  /** All vectors are masked. */
  readonly masked: boolean;
}

/** What a {@link PciFunction} tells the device that it belongs to. Each is called once per change, inside the access that made it. */
export interface PciHost {
  /** Whether the BARs answer: COMMAND says so and the function is in D0. */
  memoryDecode(enabled: boolean): void;
  /** Whether the function may access memory and raise MSI-X: COMMAND says so and the function is in D0. */
  busMaster(enabled: boolean): void;
  /** The guest started a function-level reset, or left D3hot without "no soft reset". Config space is reset already. */
  functionReset(): void;
  /** MSI-X was enabled, disabled, masked or unmasked as a whole. */
  msixControl(control: MsixControl): void;
  /** The power state changed. */
  powerState(state: PowerState): void;
}
