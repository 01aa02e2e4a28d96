import type { DeviceCore } from '../../native/binding.ts';

/**
 * Whether a function reaches guest memory: what its guest, its errors and its pauses say together, from {@link apply} on. A message of MSI or MSI-X is a
 * write to memory that bus master gates like any other (PCI Express Base Specification 5.0, 7.5.1.1.3): it waits, pending, until there is bus master again.
 */
export class GuestMemoryGate {
  /** COMMAND.busMaster and D0, as the guest set them. */
  busMaster = false;
  /** The function was cut off after an error. */
  isolated = false;
  /** The function was paused. */
  paused = false;
  /** Whether bus master matters at all. */
  readonly enforced: boolean;
  /** Told whenever it was applied. */
  applied: () => void = () => undefined;
  readonly #core: DeviceCore;

  constructor(core: DeviceCore, enforced: boolean) {
    this.#core = core;
    this.enforced = enforced;
  }

  /** Whether the guest lets the function reach its memory. */
  get granted(): boolean {
    return this.busMaster || !this.enforced;
  }

  /** Makes it so. */
  apply(): void {
    this.#core.setMessagesHeld(!this.granted);
    this.#core.setBusMaster(this.granted && !this.isolated && !this.paused);
    this.applied();
  }
}
