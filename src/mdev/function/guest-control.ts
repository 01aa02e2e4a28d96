import type { MsiControl, MsixControl, PciHost, PowerState } from '../../emulation/index.ts';
import type { DeviceCore } from '../../native/binding.ts';
import type { MdevBehaviour } from '../type/behaviour.ts';
import { callSynchronously } from '../base/call-synchronously.ts';
import { HookFailure } from '../errors/hook-guard.ts';
import type { Irqs } from '../interrupts/irqs.ts';
import type { GuestMemoryGate } from './guest-memory-gate.ts';

/** What a {@link GuestControl} steers. */
export interface GuestControlled {
  readonly core: DeviceCore;
  readonly irqs: Irqs;
  readonly gate: GuestMemoryGate;
  readonly behaviour: () => Pick<MdevBehaviour, 'busMaster' | 'powerState'>;
}

/**
 * What the guest controls by config space: decode at once; INTx, MSI, MSI-X, the power state and bus master when the access is over, because a reset in
 * the same access makes them void, and what they kept back with it.
 */
export class GuestControl {
  readonly #function: GuestControlled;
  /** As the guest set it, and as the behaviour knows it. */
  #powerState: PowerState = 0;
  #toldPowerState: PowerState = 0;
  /** What the access in progress changed. */
  #intxDisabled: boolean | undefined;
  #msiMask: number | undefined;
  #msiControl: MsiControl | undefined;
  #msixControl: MsixControl | undefined;
  /** Bus master as the behaviour knows it. */
  #toldBusMaster = false;

  constructor(controlled: GuestControlled) {
    this.#function = controlled;
  }

  /** What config space acts on, but for the reset of its function. */
  readonly host: Omit<PciHost, 'functionReset'> = {
    memoryDecode: (enabled) => {
      this.#function.core.setMemoryDecode(enabled);
    },
    ioDecode: (enabled) => {
      this.#function.core.setIoDecode(enabled);
    },
    romDecode: (enabled) => {
      this.#function.core.setRomDecode(enabled);
    },
    busMaster: (enabled) => {
      this.#function.gate.busMaster = enabled;
    },
    intxDisabled: (disabled) => {
      this.#intxDisabled = disabled;
    },
    msiControl: (control) => {
      this.#msiControl = control;
    },
    msiMask: (mask) => {
      this.#msiMask = mask;
    },
    interruptStatus: () => this.#function.irqs.intxAsserted,
    msixControl: (control) => {
      this.#msixControl = control;
    },
    powerState: (state) => {
      this.#powerState = state;
    },
  };

  /** An access to config space is over: tells what it changed. */
  accessed(): void {
    this.#tellInterruptControl();
    this.#tellPowerState();
    this.#tellBusMaster();
  }

  /** Config space was reset. The behaviour is not told: it is about to be reset itself. */
  reset(): void {
    this.#intxDisabled = this.#msiMask = undefined;
    this.#msiControl = this.#msixControl = undefined;
    this.#toldBusMaster = false;
    this.#toldPowerState = this.#powerState;
    this.#function.gate.apply();
  }

  /** Config space was restored. The behaviour is not told: it is about to be given its own state. */
  restored(): void {
    this.#tellInterruptControl();
    this.#toldBusMaster = this.#function.gate.busMaster;
    this.#toldPowerState = this.#powerState;
    this.#function.gate.apply();
  }

  #tellInterruptControl(): void {
    const { irqs } = this.#function;
    const [disabled, mask] = [this.#intxDisabled, this.#msiMask];
    const [msi, msix] = [this.#msiControl, this.#msixControl];
    this.#intxDisabled = this.#msiMask = undefined;
    this.#msiControl = this.#msixControl = undefined;
    if (disabled !== undefined) irqs.disableIntx(disabled);
    if (mask !== undefined) irqs.maskMsi(mask);
    if (msi !== undefined) irqs.controlMsi(msi);
    if (msix !== undefined) irqs.control(msix);
  }

  #tellPowerState(): void {
    const state = this.#powerState;
    if (state === this.#toldPowerState) return;
    this.#toldPowerState = state;
    try {
      callSynchronously('powerState', () => this.#function.behaviour().powerState?.(state));
    } catch (error) {
      throw new HookFailure('config.PMCSR', error);
    }
  }

  /**
   * Memory is there before the behaviour hears that it is, and stays until the behaviour has heard that it goes: what is
   * in flight would end in faults otherwise, which hide what really happened.
   */
  #tellBusMaster(): void {
    const { gate } = this.#function;
    const { busMaster: enabled } = gate;
    if (!gate.enforced || enabled === this.#toldBusMaster) return;
    this.#toldBusMaster = enabled;
    if (enabled) gate.apply();
    try {
      callSynchronously('busMaster', () => this.#function.behaviour().busMaster?.(enabled));
    } catch (error) {
      throw new HookFailure('config.COMMAND', error);
    } finally {
      gate.apply();
    }
  }
}
