import type { ResetKind } from '../../emulation/index.ts';
import type { Holder } from './attachment.ts';
import type { ErrorReport } from '../errors/device-errors.ts';
import type { GuestError } from '../errors/guest-errors.ts';
import type { MdevState, MdevTransition } from './life-cycle.ts';
import type { ResetCause } from '../function/reset-cause.ts';

/** Why an instance is in `failed` or `frozen`. */
export interface MdevFailure {
  readonly uuid: string;
  /** Name of the parent. */
  readonly parent: string;
  /** The type's id. */
  readonly type: string;
  /** The register whose hook threw (`bar0.WQCFG[3].MODE`), or what else failed (`task`). */
  readonly path: string;
  readonly error: unknown;
  /** Of `error`, where it has one. */
  readonly stack: string | undefined;
}

/** What an instance tells, each after it has happened. A listener's error is not the instance's: it is uncaught. */
export interface MdevDeviceEvents {
  /** Every transition of the life cycle, after it happened. */
  state: [change: { readonly from: MdevState; readonly to: MdevState; readonly transition: MdevTransition }];
  attached: [holder: Holder];
  detached: [holder: Holder];
  /** The function was reset. */
  reset: [reset: { readonly kind: ResetKind; readonly cause: ResetCause }];
  /** Whoever holds the instance is asked to let go. */
  request: [holder: Holder];
  /**
   * The guest did something wrong, for the first time of its kind since its client came. Seen up to a second later; all
   * that follows of the kind is only counted (`guestErrors`).
   */
  guestError: [error: GuestError];
  /** The device had an error (`MdevDevice.error`); it is recorded, and if `isolated` says so, `frozen` was told. */
  deviceError: [report: ErrorReport];
  /** After `state`; not when a listener of that has mended or closed the instance meanwhile. So is `failed`. */
  frozen: [failure: MdevFailure];
  failed: [failure: MdevFailure];
  /**
   * Names of tasks, and `close` of the behaviour, that went on for 2 s after they were told to end. The instance is closed
   * without them, and what it had is given back.
   */
  abandoned: [work: readonly string[]];
  closed: [];
}
