import { Engine, Group } from '../../engine/index.ts';
import type { GroupBacking } from './queues.ts';
import type { ResourceBooks, ResourceCounts, SharedSlot } from './resources.ts';

/** The engines behind one instance; disposing gives them back. */
export interface EngineAllocation extends Disposable {
  readonly backing: GroupBacking;
}

interface ServedSlot {
  readonly group: Group;
  readonly engine: Engine;
  /** Instances in it. */
  users: number;
}

/** Turns the books of a parent device into running engines. An engine runs only while an instance has it. */
export class EnginePool {
  readonly #name: string;
  readonly #books: ResourceBooks;
  readonly #slots = new Map<SharedSlot, ServedSlot>();

  /** @param name The parent's name, the first part of the engines' names. */
  constructor(name: string, books: ResourceBooks) {
    this.#name = name;
    this.#books = books;
  }

  /** Engines and groups of an instance's own. */
  exclusive(need: ResourceCounts): EngineAllocation {
    const taken = this.#books.takeExclusive(need);
    const engines: Engine[] = [];
    const groups: Group[] = [];
    const close = (): void => {
      for (const group of groups) group.close();
      for (const engine of engines) engine.close();
      taken[Symbol.dispose]();
    };
    try {
      for (const number of taken.engines) engines.push(this.#engine(number));
      while (groups.length < need.groups) groups.push(new Group());
    } catch (error) {
      close();
      throw error;
    }
    return {
      backing: {
        assign(members) {
          for (const [index, group] of groups.entries()) {
            group.setEngines((members[index] ?? []).flatMap((member) => engines[member] ?? []));
          }
        },
        group: (index) => at(groups, index),
      },
      [Symbol.dispose]: close,
    };
  }

  /** A place in a slot that others share. The guest cannot change what serves it. */
  shared(entries: number): EngineAllocation {
    const taken = this.#books.takeShared(entries);
    let served: ServedSlot;
    try {
      served = this.#slots.get(taken.slot) ?? this.#open(taken.slot);
    } catch (error) {
      taken[Symbol.dispose]();
      throw error;
    }
    served.users += 1;
    return {
      backing: { assign: () => undefined, group: () => served.group },
      [Symbol.dispose]: () => {
        served.users -= 1;
        if (served.users === 0) {
          this.#slots.delete(taken.slot);
          served.group.close();
          served.engine.close();
        }
        taken[Symbol.dispose]();
      },
    };
  }

  #open(slot: SharedSlot): ServedSlot {
    const engine = this.#engine(slot.engine);
    const group = new Group();
    group.setEngines([engine]);
    const served = { group, engine, users: 0 };
    this.#slots.set(slot, served);
    return served;
  }

  #engine(number: number): Engine {
    return new Engine({ name: `${this.#name}/engine${number}` });
  }
}

function at<V>(list: readonly V[], index: number): V {
  const value = list[index];
  if (value === undefined) throw new RangeError(`there is no group ${index}`);
  return value;
}
