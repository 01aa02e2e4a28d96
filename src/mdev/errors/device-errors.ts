import type { ErrorMessage, PciError } from '../../emulation/index.ts';
import type { DeviceLife } from '../device/device-life.ts';
import { MdevError } from './mdev-error.ts';
import type { MdevFunction } from '../function/mdev-function.ts';

/** What became of an error of a device. */
export interface ErrorReport {
  readonly error: PciError;
  /** What was given with the error, if anything was. */
  readonly cause: unknown;
  /** When it was recorded. */
  readonly since: Date;
  /** The message that the function would send to its root port; undefined where the guest masks it or has not enabled it. */
  readonly message: ErrorMessage | undefined;
  /** Whether the instance is frozen because of it. False for one that was frozen already. */
  readonly isolated: boolean;
  /** Whether ERR was signalled: to a client that holds the instance, where the platform says so. */
  readonly reported: boolean;
}

/**
 * The errors of one instance, in the spirit of EEH: recorded where its guest looks for them, and contained. What follows
 * is a reset, which lets the instance go on (`LIFE_CYCLE`).
 */
export class DeviceErrors {
  readonly #function: MdevFunction;
  readonly #life: DeviceLife;
  readonly #isHeld: () => boolean;

  /** @param isHeld Whether a client is there to be told. */
  constructor(mdevFunction: MdevFunction, life: DeviceLife, isHeld: () => boolean) {
    this.#function = mdevFunction;
    this.#life = life;
    this.#isHeld = isHeld;
  }

  /**
   * Records an error, isolates the instance if it is uncorrectable, and reports it.
   * @throws `MdevError` `ENODEV`, `EIO`, `EINVAL` while the instance is being made; `RangeError` for a name that no error has, and for
   * an error that AER was declared without. Nothing has happened then.
   */
  add(error: PciError, cause?: unknown): ErrorReport {
    const { state, who } = this.#life;
    if (state === 'closed' || state === 'failed') {
      throw new MdevError(state === 'closed' ? 'ENODEV' : 'EIO', `${who} is ${state}: it can have no error any more`);
    }
    const message = this.#function.config.recordError(error);
    const isolated = !this.#function.isolated && isolates(error, message);
    const { irqs, platform } = this.#function;
    const reported = isolated && platform.reportErrors && irqs.device.error.count > 0 && this.#isHeld();
    if (isolated) {
      this.#life.freeze('error', cause ?? new Error(nameOf(error)), () => {
        if (reported) irqs.device.error.trigger();
      });
    }
    const report = { error, cause, since: new Date(), message, isolated, reported };
    this.#life.tell('deviceError', report);
    return report;
  }
}

/** An advisory error is another's to contain, unless its severity makes it fatal (Base Specification 5.0, 6.2.3.2.4). */
function isolates(error: PciError, message: ErrorMessage | undefined): boolean {
  return 'uncorrectable' in error && (error.advisory !== true || message === 'fatal');
}

function nameOf(error: PciError): string {
  return 'uncorrectable' in error
    ? `uncorrectable error ${error.uncorrectable}`
    : `correctable error ${error.correctable}`;
}
