import { guarded } from '../base/guarded.ts';
import { type MdevState, type MdevTransition, nextState } from './life-cycle.ts';
import type { MdevDeviceEvents, MdevFailure } from './mdev-device-events.ts';

/** Whose life it is, for messages. */
export interface LifeSubject {
  readonly uuid: string;
  /** Name of the parent. */
  readonly parent: string;
  /** The type's id. */
  readonly type: string;
}

/** What a {@link DeviceLife} does to its instance. */
export interface LifeOwner {
  /** Tells listeners, which may throw. */
  emit<E extends keyof MdevDeviceEvents>(event: E, details: MdevDeviceEvents[E]): void;
  /** Whether it is cut off at present; a reset ends that before the instance is `frozen` no more. */
  readonly isolated: boolean;
  /** The instance has just become `failed` or `frozen`: cut it off. Must not throw. */
  cutOff(state: 'failed' | 'frozen'): void;
}

/** The state of one instance and its failure, and the one place that changes them. */
export class DeviceLife {
  /** `instance 5f1c… (dsa0, dsa-cfg-v1)`. */
  readonly who: string;
  readonly #subject: LifeSubject;
  readonly #owner: LifeOwner;
  #state: MdevState = 'created';
  #failure: MdevFailure | undefined;

  constructor(subject: LifeSubject, owner: LifeOwner) {
    this.#subject = subject;
    this.#owner = owner;
    this.who = `instance ${subject.uuid} (${subject.parent}, ${subject.type})`;
  }

  get state(): MdevState {
    return this.#state;
  }

  /** Why it is `frozen` or `failed`. */
  get failure(): MdevFailure | undefined {
    return this.#failure;
  }

  /** @throws `MdevError` when the transition is not legal; nothing has changed then. */
  check(transition: MdevTransition): void {
    nextState(this.#state, transition, this.who);
  }

  /** @throws `MdevError` when the transition is not legal. */
  transit(transition: MdevTransition): void {
    const from = this.#state;
    const to = nextState(from, transition, this.who);
    this.#state = to;
    if (from === 'frozen' && to !== 'frozen') this.#failure = undefined;
    this.tell('state', { from, to, transition });
  }

  /** Runs what a behaviour's error must not pass; the instance fails then. */
  attempt(path: string, action: () => void): MdevFailure | undefined {
    try {
      action();
      return undefined;
    } catch (error) {
      return this.fail(path, error);
    }
  }

  /** To `failed`, unless that or worse has happened already. */
  fail(path: string, error: unknown): MdevFailure {
    const failure = this.#failureOf(path, error);
    if (this.#state !== 'failed' && this.#state !== 'closed') this.#end('fail', failure);
    return failure;
  }

  /**
   * To `frozen`, unless that or worse has happened already.
   * @param report Called when the instance is cut off and nobody was told yet: who is told may reset it at once.
   */
  freeze(path: string, error: unknown, report?: () => void): void {
    if (this.#state === 'failed' || this.#state === 'closed' || this.#owner.isolated) return;
    this.#end('freeze', this.#failureOf(path, error), report);
  }

  /** Tells listeners. Their error is not the device's. */
  tell<E extends keyof MdevDeviceEvents>(event: E, ...details: MdevDeviceEvents[E]): void {
    guarded(() => {
      this.#owner.emit(event, details);
    });
  }

  #end(transition: 'fail' | 'freeze', failure: MdevFailure, report?: () => void): void {
    const from = this.#state;
    const to = transition === 'fail' ? 'failed' : 'frozen';
    this.#state = nextState(from, transition, this.who);
    this.#failure = failure;
    this.#owner.cutOff(to);
    report?.();
    this.tell('state', { from, to, transition });
    // Who was told of the state may have mended or closed the instance.
    if (this.#state === to && this.#failure === failure) this.tell(to, failure);
  }

  #failureOf(path: string, error: unknown): MdevFailure {
    const stack = error instanceof Error ? error.stack : undefined;
    return { ...this.#subject, path, error, stack };
  }
}
