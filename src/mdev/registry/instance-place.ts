import { deferred } from '../base/deferred.ts';
import type { MdevDevice } from '../device/mdev-device.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { Allocation, ParentDevice } from './parent-device.ts';

/** Where the place of an instance is in its life. */
export type PlaceState = 'creating' | 'active' | 'removing' | 'gone';

/** What moves it on: `end` is the instance's close, by whomever, or a creation that failed. */
export type PlaceTransition = 'created' | 'remove' | 'end';

/** Every legal transition. */
export const PLACE_LIFE: Readonly<Record<PlaceState, Readonly<Partial<Record<PlaceTransition, PlaceState>>>>> = {
  creating: { created: 'active', end: 'gone' },
  active: { remove: 'removing', end: 'gone' },
  removing: { end: 'gone' },
  gone: {},
};

/**
 * The place that an instance takes: its UUID, and what its parent gave. The only owner of both, from before the
 * instance is made until it is closed.
 */
export class InstancePlace {
  readonly uuid: string;
  readonly parent: ParentDevice;
  readonly allocation: Allocation;
  /** Resolves when everything is given back. */
  readonly gone: Promise<void>;
  /** Rejects when nobody waits for the creation any more. */
  readonly cancelled: Promise<never>;
  readonly #gone = deferred();
  #state: PlaceState = 'creating';
  #device: MdevDevice | undefined;
  #cancel: (reason: MdevError) => void = () => undefined;

  constructor(uuid: string, parent: ParentDevice, allocation: Allocation) {
    this.uuid = uuid;
    this.parent = parent;
    this.allocation = allocation;
    this.gone = this.#gone.promise;
    this.cancelled = new Promise((_, reject) => {
      this.#cancel = reject;
    });
    // It may come when the creation has just ended.
    this.cancelled.catch(() => undefined);
  }

  get state(): PlaceState {
    return this.#state;
  }

  /** Once it is made. */
  get device(): MdevDevice | undefined {
    return this.#device;
  }

  /** For messages: `exists`, `is being created`. */
  get condition(): string {
    return { creating: 'is being created', active: 'exists', removing: 'is being removed', gone: 'is gone' }[
      this.#state
    ];
  }

  /** Ends a creation that takes too long. */
  cancel(why: string): void {
    this.#cancel(new MdevError('ECANCELED', `instance ${this.uuid} on ${this.parent.name}: ${why}`));
  }

  created(device: MdevDevice): void {
    this.#move('created');
    this.#device = device;
  }

  /** @throws {@link MdevError} `EAGAIN` when it is being created or removed. */
  remove(): void {
    this.#move('remove');
  }

  /**
   * Gives everything back. What the disposal of the type's resources throws passes through.
   */
  end(): void {
    this.#move('end');
    this.allocation[Symbol.dispose]();
  }

  /** Lets those go on who wait for the end. */
  settle(): void {
    this.#gone.resolve();
  }

  #move(transition: PlaceTransition): void {
    const next = PLACE_LIFE[this.#state][transition];
    if (next === undefined) throw new MdevError('EAGAIN', `instance ${this.uuid} ${this.condition}`);
    this.#state = next;
  }
}
