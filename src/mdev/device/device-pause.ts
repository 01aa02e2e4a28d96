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

/**
 * Who wants an instance to stand still: its owner (`quiesce`), its client (migration), or who takes its state (`transfer`). It goes on when none of
 * them does any more.
 */
export type Pauser = 'owner' | 'client' | 'transfer';

/** The pause of one instance: whether its behaviour runs, which its state alone does not say, and who wants it not to. */
export class DevicePause {
  readonly #subject: PauseSubject;
  readonly #pausers = new Set<Pauser>();
  /** The behaviour is on its way. */
  #quiescing: Promise<void> | undefined;
  #paused = false;
  /** Its state goes to another process, where nobody would know of its owner's pause. */
  #leaves = false;
  /** The device reaches nothing, and is to hear nothing. */
  #standsStill = false;
  readonly #watchers = new Set<(paused: boolean) => void>();

  constructor(subject: PauseSubject) {
    this.#subject = subject;
  }

  /** The behaviour is paused, whatever has happened since. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Its owner has it paused, or on its way there. */
  get quiesced(): boolean {
    return this.#pausers.has('owner');
  }

  /** Its state is being taken, or was: nobody else lets it go on. */
  get transferred(): boolean {
    return this.#pausers.has('transfer');
  }

  /**
   * Tells at once whether the device stands still, because of a pause that counts, and whenever that changes.
   * @returns what ends it.
   */
  watch(listener: (paused: boolean) => void): () => void {
    // The same function may watch twice.
    const own = (paused: boolean): void => {
      listener(paused);
    };
    this.#watchers.add(own);
    own(this.#standsStill);
    return () => {
      this.#watchers.delete(own);
    };
  }

  #setPaused(paused: boolean): void {
    this.#subject.function.setPaused(paused);
    if (paused === this.#standsStill) return;
    this.#standsStill = paused;
    for (const watcher of this.#watchers) watcher(paused);
  }

  /**
   * Pauses a running instance, or keeps one paused that is.
   * @param limit Milliseconds to wait at most; without it, as long as the behaviour takes.
   * @throws {@link MdevError} `ENOTTY` when its behaviour cannot, `ETIMEDOUT` when it did not in time and goes on, `EBUSY` when the same one has it
   * paused already, or on its way, or it moves to another process, `EIO` when its behaviour rejected, which fails it, else what the life cycle says.
   */
  async quiesce(by: Pauser, limit?: number): Promise<void> {
    const { life } = this.#subject;
    if (by === 'owner' && this.#leaves) {
      throw new MdevError('EBUSY', `${life.who} moves to another process; quiesce it there`);
    }
    const before: MdevState = life.state;
    if (before !== 'quiesced' || this.#pausers.has(by)) life.check('quiesce');
    await this.#hold(by, limit);
    const now: MdevState = life.state;
    if (now === 'quiesced') return;
    // Meanwhile the client may have left: then there is nobody to say when to go on.
    if (now !== 'running') this.#giveUp(by);
    life.check('quiesce');
    this.#setPaused(true);
    life.transit('quiesce');
  }

  /**
   * Pauses the behaviour of a frozen instance, which stays frozen.
   * @throws {@link MdevError} as {@link quiesce}; `ECANCELED` when it was mended meanwhile, and goes on.
   */
  async quiesceFrozen(by: Pauser, limit: number): Promise<void> {
    const { life } = this.#subject;
    // It may have been paused when it froze.
    await this.#hold(by, limit);
    if (life.state !== 'frozen') {
      this.#giveUp(by);
      throw new MdevError('ECANCELED', `${life.who} is frozen no more`);
    }
    this.#setPaused(true);
  }

  /**
   * The same whether a client uses the instance, nobody holds it, or it is frozen; its state is `quiesced` in the first case, and stays in the others.
   * @throws {@link MdevError} see {@link quiesce}.
   */
  async suspend(by: Pauser, limit: number): Promise<void> {
    const { life } = this.#subject;
    const before: MdevState = life.state;
    if (before === 'frozen') {
      await this.quiesceFrozen(by, limit);
      return;
    }
    if (before !== 'created') {
      await this.quiesce(by, limit);
      return;
    }
    await this.#hold(by, limit);
    const now: MdevState = life.state;
    if (now !== 'created') {
      this.#giveUp(by);
      throw new MdevError('EBUSY', `${life.who} became ${now} while it was to be suspended`);
    }
    this.#setPaused(true);
  }

  /**
   * As {@link suspend} for a transfer to another process; until that pause ends the owner cannot quiesce the instance, and must not have done so.
   * @throws {@link MdevError} `EBUSY` when its owner has it paused; see {@link quiesce}.
   */
  async suspendToLeave(limit: number): Promise<void> {
    if (this.quiesced) {
      const { who } = this.#subject.life;
      throw new MdevError('EBUSY', `${who} is quiesced by its owner, whom nobody asks where it would go on`);
    }
    const before = this.#leaves;
    this.#leaves = true;
    try {
      await this.suspend('transfer', limit);
    } catch (error) {
      this.#leaves = before;
      throw error;
    }
  }

  /** @throws {@link MdevError} see {@link quiesce}. */
  async #hold(by: Pauser, limit: number | undefined): Promise<void> {
    const { who } = this.#subject.life;
    if (this.#pausers.has(by) && !this.#paused) throw new MdevError('EBUSY', `${who} is being quiesced`);
    this.#pausers.add(by);
    try {
      if (this.#paused) return;
      this.#quiescing ??= this.#pauseBehaviour();
      const inTime =
        limit === undefined
          ? await this.#quiescing.then(() => true)
          : // Who is late is not waited for: what ends from here on knows.
            await endsWithin(this.#quiescing, limit, () => this.#pausers.delete(by));
      if (inTime) return;
      throw new MdevError('ETIMEDOUT', `${who} was not quiesced within ${Math.ceil(limit ?? 0)} ms; it goes on`);
    } catch (error) {
      this.#pausers.delete(by);
      throw error;
    }
  }

  /** @throws {@link MdevError} `ENOTTY`, at once; rejects with `EIO`. */
  #pauseBehaviour(): Promise<void> {
    const { life, type } = this.#subject;
    const behaviour = this.#subject.behaviour();
    const { quiesce } = behaviour;
    if (quiesce === undefined) throw new MdevError('ENOTTY', `${life.who}: type ${type} cannot be quiesced`);
    return (async () => {
      try {
        await quiesce.call(behaviour);
      } catch (error) {
        life.fail('quiesce', error);
        throw new MdevError('EIO', `${life.who} failed to quiesce`, { cause: error });
      } finally {
        this.#quiescing = undefined;
      }
      this.#paused = true;
      if (this.#pausers.size === 0) this.#goOnUnlessEnded();
    })();
  }

  /**
   * Ends the owner's pause of a quiesced instance.
   * @throws {@link MdevError} when it is not quiesced, or only by others; `EIO` when its behaviour threw, which fails it.
   */
  resume(): void {
    const { life } = this.#subject;
    life.check('resume');
    if (this.#pausers.has('owner')) {
      this.release('owner');
      return;
    }
    const why = this.#pausers.has('client') ? 'stopped by its client, which migrates it' : 'suspended while it moves';
    throw new MdevError('EBUSY', `${life.who} is ${why}`);
  }

  /**
   * Ends one pause, if it has not ended; with the last one the instance goes on, or is frozen only.
   * @throws {@link MdevError} `EIO` when its behaviour threw, which fails it.
   */
  release(by: Pauser): void {
    const { life } = this.#subject;
    if (by === 'transfer') this.#leaves = false;
    if (!this.#pausers.delete(by) || this.#pausers.size > 0 || !this.#paused) return;
    const before: MdevState = life.state;
    if (before === 'failed' || before === 'closed') return;
    const failure = this.#goOn();
    if (failure !== undefined) throw new MdevError('EIO', `${life.who} failed to resume`, { cause: failure.error });
    if (before === 'quiesced') life.transit('resume');
  }

  /** Its client is gone, and with it the one to say when to go on, or a reset has mended it: only a transfer keeps the instance paused. */
  goOnUnlessTransferred(): void {
    if (this.#pausers.has('transfer')) {
      this.#pausers.delete('owner');
      this.#pausers.delete('client');
    } else {
      this.#goOn();
    }
  }

  /** Lets the behaviour go on, whatever the state and whoever paused it. When it throws, the instance fails. */
  #goOn(): MdevFailure | undefined {
    this.#pausers.clear();
    this.#paused = false;
    this.#setPaused(false);
    return this.#subject.life.attempt('resume', () => {
      callSynchronously('resume', () => this.#subject.behaviour().resume?.());
    });
  }

  /** After a pause that does not count any more. */
  #giveUp(by: Pauser): void {
    this.#pausers.delete(by);
    if (this.#pausers.size === 0) this.#goOnUnlessEnded();
  }

  /** A frozen one goes on with the reset that mends it. */
  #goOnUnlessEnded(): void {
    if (!['frozen', 'failed', 'closed'].includes(this.#subject.life.state)) this.#goOn();
  }
}
