import { constants } from 'node:os';

import type { DeviceLife } from './device-life.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import type { ResetCause } from '../function/reset-cause.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { DevicePause } from './device-pause.ts';

const { EIO } = constants.errno;

/** Where the reset of a frozen instance leads: nobody holds it, its client has begun to use it, and then it may be paused, or has not begun. */
export type Recovery = 'recoverIdle' | 'recover' | 'recoverQuiesced' | 'recoverAttached';

/** Whom {@link DeviceResets} resets. */
export interface ResetSubject {
  readonly life: DeviceLife;
  readonly function: Pick<MdevFunction, 'isolated' | 'rejoin' | 'reset'>;
  readonly pause: Pick<DevicePause, 'goOnUnlessTransferred' | 'paused'>;
  /** Where a frozen instance goes on. */
  readonly recovery: () => Recovery;
}

/** The resets of one instance from outside of its guest, and the end of `frozen` with them. */
export class DeviceResets {
  readonly #subject: ResetSubject;

  constructor(subject: ResetSubject) {
    this.#subject = subject;
  }

  /**
   * Resets the instance; a frozen one goes on afterwards.
   * @throws {@link MdevError} `EIO` when it has failed, or fails or freezes again during the reset; `ENODEV` when it is closed.
   */
  reset(cause: ResetCause, kind: 'cold' | 'function' = 'function'): void {
    const { function: mdevFunction, life, pause } = this.#subject;
    const { who } = life;
    if (life.state === 'failed') throw new MdevError('EIO', `${who} has failed; it cannot be reset`);
    if (life.state === 'closed') throw new MdevError('ENODEV', `${who} is closed`);
    const frozen = life.state === 'frozen';
    if (frozen) mdevFunction.rejoin();
    const failure = life.attempt('reset', () => {
      mdevFunction.reset(cause, kind);
    });
    if (failure !== undefined) throw new MdevError('EIO', `${who} failed during a reset`, { cause: failure.error });
    if (!frozen) return;
    // It was paused when it froze, and goes on now; unless its state is being taken, which is not its client's to end.
    if (pause.paused && !mdevFunction.isolated) pause.goOnUnlessTransferred();
    // What the reset told may have closed, failed or mended the instance, or frozen it again.
    if (this.#subject.life.state !== 'frozen') return;
    if (mdevFunction.isolated) throw new MdevError('EIO', `${who} froze again during its reset`);
    life.transit(this.#subject.recovery());
  }

  /** DEVICE_RESET. Returns 0 or an errno. */
  resetByClient(): number {
    try {
      this.reset('client');
      return 0;
    } catch {
      // The instance has failed and has told so.
      return EIO;
    }
  }
}
