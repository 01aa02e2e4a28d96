import type { MdevBehaviour } from '../type/behaviour.ts';
import { callSynchronously } from '../base/call-synchronously.ts';
import type { DeviceLife } from './device-life.ts';
import { endsWithin } from '../base/ends-within.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import type { MdevState } from './life-cycle.ts';
import type { MdevFailure } from './mdev-device-events.ts';
import { MdevError } from '../errors/mdev-error.ts';

/** Whom a {@link DevicePause} pauses. */
export interface PauseSubject {
  readonly life: DeviceLife;
  readonly function: Pick<MdevFunction, 'setPaused'>;
  readonly behaviour: () => Pick<MdevBehaviour, 'quiesce' | 'resume'>;
  /** The type's id, for messages. */
  readonly type: string;
}

/** The pause of one instance: whether its behaviour runs, which its state alone does not say. */
export class DevicePause {
  readonly #subject: PauseSubject;
  #quiescing = false;
  #paused = false;

  constructor(subject: PauseSubject) {
    this.#subject = subject;
  }

  /** The behaviour is paused, whatever has happened since. */
  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Pauses a running instance.
   * @param limit Milliseconds to wait at most; without it, as long as the behaviour takes.
   * @throws {@link MdevError} `ENOTTY` when its behaviour cannot, `ETIMEDOUT` when it did not in time and goes on, `EBUSY` when it is on its way already,
   * `EIO` when its behaviour rejected, which fails it, else what the life cycle says.
   */
  async quiesce(limit?: number): Promise<void> {
    const { life } = this.#subject;
    life.check('quiesce');
    await this.#pauseBehaviour(limit);
    // Meanwhile the client may have left: then there is nobody to say when to go on.
    if (life.state !== 'running') this.#goOnUnlessEnded();
    life.check('quiesce');
    this.#subject.function.setPaused(true);
    life.transit('quiesce');
  }

  /**
   * Pauses the behaviour of a frozen instance, which stays frozen.
   * @throws {@link MdevError} as {@link quiesce}; `ECANCELED` when it was mended meanwhile, and goes on.
   */
  async quiesceFrozen(limit: number): Promise<void> {
    const { life } = this.#subject;
    // It was paused when it froze.
    if (this.#paused) return;
    await this.#pauseBehaviour(limit);
    if (life.state !== 'frozen') {
      this.#goOnUnlessEnded();
      throw new MdevError('ECANCELED', `${life.who} is frozen no more`);
    }
    this.#subject.function.setPaused(true);
  }

  /**
   * The same whether a client uses the instance, nobody holds it, or it is frozen; its state is `quiesced` in the first case, and stays in the others.
   * @throws {@link MdevError} see {@link quiesce}.
   */
  async suspend(limit: number): Promise<void> {
    const { life } = this.#subject;
    const before: MdevState = life.state;
    if (before === 'frozen') {
      await this.quiesceFrozen(limit);
      return;
    }
    if (before !== 'created') {
      await this.quiesce(limit);
      return;
    }
    await this.#pauseBehaviour(limit);
    const now: MdevState = life.state;
    if (now !== 'created') {
      this.#goOnUnlessEnded();
      throw new MdevError('EBUSY', `${life.who} became ${now} while it was to be suspended`);
    }
    this.#subject.function.setPaused(true);
  }

  /** Ends {@link suspend}, unless somebody else has. */
  endSuspend(): void {
    const { state } = this.#subject.life;
    if (state === 'quiesced') this.resume();
    else if (state === 'frozen') this.resumeFrozen();
    else if (state === 'created' && this.#paused) this.goOn();
  }

  /** @throws {@link MdevError} see {@link quiesce}. */
  async #pauseBehaviour(limit: number | undefined): Promise<void> {
    const { life, type } = this.#subject;
    const behaviour = this.#subject.behaviour();
    const { quiesce } = behaviour;
    if (quiesce === undefined) throw new MdevError('ENOTTY', `${life.who}: type ${type} cannot be quiesced`);
    if (this.#quiescing) throw new MdevError('EBUSY', `${life.who} is being quiesced`);
    this.#quiescing = true;
    const wait = { expired: false };
    const quiesced = (async () => {
      try {
        await quiesce.call(behaviour);
      } catch (error) {
        life.fail('quiesce', error);
        throw new MdevError('EIO', `${life.who} failed to quiesce`, { cause: error });
      } finally {
        this.#quiescing = false;
      }
      // Nobody waits for it any more.
      if (wait.expired) this.#goOnUnlessEnded();
    })();
    if (limit === undefined) {
      await quiesced;
    } else if (!(await endsWithin(quiesced, limit))) {
      wait.expired = true;
      throw new MdevError('ETIMEDOUT', `${life.who} was not quiesced within ${Math.ceil(limit)} ms; it goes on`);
    }
    this.#paused = true;
  }

  /**
   * Lets a quiesced instance go on.
   * @throws {@link MdevError} when it is not quiesced; `EIO` when its behaviour threw, which fails it.
   */
  resume(): void {
    const { life } = this.#subject;
    life.check('resume');
    this.#goOnOrThrow();
    life.transit('resume');
  }

  /** Ends {@link quiesceFrozen}. @throws {@link MdevError} `EIO` when its behaviour threw, which fails it. */
  resumeFrozen(): void {
    this.#goOnOrThrow();
  }

  #goOnOrThrow(): void {
    const failure = this.goOn();
    if (failure === undefined) return;
    throw new MdevError('EIO', `${this.#subject.life.who} failed to resume`, { cause: failure.error });
  }

  /** Lets the behaviour go on, whatever the state. When it throws, the instance fails. */
  goOn(): MdevFailure | undefined {
    this.#paused = false;
    this.#subject.function.setPaused(false);
    return this.#subject.life.attempt('resume', () => {
      callSynchronously('resume', () => this.#subject.behaviour().resume?.());
    });
  }

  /** After a pause that nobody wants any more. A frozen one goes on with the reset that mends it. */
  #goOnUnlessEnded(): void {
    this.#paused = true;
    if (!['frozen', 'failed', 'closed'].includes(this.#subject.life.state)) this.goOn();
  }
}
