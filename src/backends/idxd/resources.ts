import { MdevError } from '../../mdev/index.ts';

/** Numbers of what a parent device has, or of what an instance takes. */
export interface ResourceCounts {
  readonly queues: number;
  /** Descriptors that the queues hold together. */
  readonly entries: number;
  readonly groups: number;
  readonly engines: number;
}

/** What an instance took; disposing gives it back, once. `engines` are the engines' numbers on the parent. */
export interface TakenResources extends Disposable {
  readonly engines: readonly number[];
}

/** One engine in one group, shared by all instances whose queue it serves. */
export interface SharedSlot {
  /** The engine's number on the parent. */
  readonly engine: number;
}

const RESOURCES = ['queues', 'entries', 'groups', 'engines'] as const;

/**
 * The books of a parent device. Queues and their entries always belong to one instance. Engines and groups belong to
 * one instance that configures them itself, or, one of each, to a slot that any number of fixed instances shares: there
 * are as many slots as there are such instances and engines and groups that nobody owns, and a new instance goes where
 * the fewest are.
 */
export class ResourceBooks {
  readonly total: ResourceCounts;
  /** The most engines that slots take. */
  readonly sharedEngines: number;
  readonly #owner: string;
  readonly #freeEngines: Set<number>;
  readonly #slots = new Map<SharedSlot, number>();
  #queues: number;
  #entries: number;
  #groups: number;

  /** @param owner The parent's name, for messages. */
  constructor(owner: string, total: ResourceCounts, sharedEngines: number) {
    this.total = total;
    this.sharedEngines = sharedEngines;
    this.#owner = owner;
    this.#freeEngines = new Set(Array.from({ length: total.engines }, (_, engine) => engine));
    this.#queues = total.queues;
    this.#entries = total.entries;
    this.#groups = total.groups;
  }

  /** What nobody owns. */
  get free(): ResourceCounts {
    return {
      queues: this.#queues,
      entries: this.#entries,
      groups: this.#groups,
      engines: this.#freeEngines.size,
    };
  }

  /** How many instances that need this could still be created. */
  availableExclusive(need: ResourceCounts): number {
    const { free } = this;
    return Math.min(...RESOURCES.map((resource) => Math.floor(free[resource] / need[resource])));
  }

  /**
   * Gives an instance resources of its own.
   * @throws {@link MdevError} `EUSERS` that names what is short.
   */
  takeExclusive(need: ResourceCounts): TakenResources {
    const { free } = this;
    for (const resource of RESOURCES) this.#demand(resource, need[resource], free[resource]);
    const engines = [...this.#freeEngines].slice(0, need.engines);
    for (const engine of engines) this.#freeEngines.delete(engine);
    this.#queues -= need.queues;
    this.#entries -= need.entries;
    this.#groups -= need.groups;
    return {
      engines,
      [Symbol.dispose]: once(() => {
        for (const engine of engines) this.#freeEngines.add(engine);
        this.#queues += need.queues;
        this.#entries += need.entries;
        this.#groups += need.groups;
      }),
    };
  }

  /** How many instances with one queue of `entries` in a shared slot could still be created. */
  availableShared(entries: number): number {
    if (this.#slots.size === 0 && !this.#canAddSlot()) return 0;
    return Math.min(this.#queues, Math.floor(this.#entries / entries));
  }

  /**
   * Gives an instance one queue and its place in a slot.
   * @throws {@link MdevError} `EUSERS` that names what is short.
   */
  takeShared(entries: number): Disposable & { readonly slot: SharedSlot } {
    this.#demand('queues', 1, this.#queues);
    this.#demand('entries', entries, this.#entries);
    const slot = this.#slotForOneMore();
    this.#slots.set(slot, (this.#slots.get(slot) ?? 0) + 1);
    this.#queues -= 1;
    this.#entries -= entries;
    return {
      slot,
      [Symbol.dispose]: once(() => {
        this.#queues += 1;
        this.#entries += entries;
        this.#leave(slot);
      }),
    };
  }

  #demand(resource: string, need: number, free: number): void {
    if (need <= free) return;
    throw new MdevError('EUSERS', `${this.#owner} has ${free} free ${resource}; ${need} are needed`);
  }

  #canAddSlot(): boolean {
    return this.#slots.size < this.sharedEngines && this.#freeEngines.size > 0 && this.#groups > 0;
  }

  #slotForOneMore(): SharedSlot {
    if (this.#canAddSlot()) {
      const [engine] = this.#freeEngines;
      if (engine !== undefined) {
        this.#freeEngines.delete(engine);
        this.#groups -= 1;
        return { engine };
      }
    }
    const [quietest] = [...this.#slots].sort(([, left], [, right]) => left - right);
    if (quietest !== undefined) return quietest[0];
    throw new MdevError('EUSERS', `${this.#owner} has no engine and group left for instances that share one`);
  }

  #leave(slot: SharedSlot): void {
    const users = (this.#slots.get(slot) ?? 0) - 1;
    if (users > 0) {
      this.#slots.set(slot, users);
      return;
    }
    this.#slots.delete(slot);
    this.#freeEngines.add(slot.engine);
    this.#groups += 1;
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
