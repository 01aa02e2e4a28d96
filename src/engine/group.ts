import { checkInteger } from './checks.ts';
import { type Engine, nativeEngine } from './engine.ts';
import { native, type NativeGroup } from './native.ts';

const nativeGroups = new WeakMap<Group, NativeGroup>();

/** The group's native half; for `QueueDevice`. */
export function nativeGroup(group: Group): NativeGroup {
  const found = nativeGroups.get(group);
  if (found === undefined) throw new TypeError('group is not a Group');
  return found;
}

/** How many descriptors of a queue are in progress when nothing else is said. */
const IN_PROGRESS = 32;
const MAX_IN_PROGRESS = 64;

/** What a {@link Group} may be told. */
export interface GroupOptions {
  /**
   * How many descriptors of each queue may be in progress at once, 1 to 64; 32 when absent. Those that wait for an answer
   * to a request by message, or for other descriptors, count, but keep no engine busy: it takes the queue's next one on,
   * which may end first. Each takes 192 KiB of address space while its queue is enabled; what is never reached by message
   * takes no memory for it. With 1, the descriptors of a queue end in their order.
   */
  readonly inProgress?: number;
}

/**
 * Work queues, of one device or several, and the engines that serve them.
 *
 * Each queue has as many credits as its priority; a dispatch costs one, and when no queue with work has any left, all
 * get new ones (DSA specification 3.7). So priorities 6 and 2 share dispatches 3 to 1.
 */
export class Group implements Disposable {
  readonly #native: NativeGroup;
  #engines: readonly Engine[] = [];

  /** @throws RangeError that names the option and what was expected. */
  constructor({ inProgress = IN_PROGRESS }: GroupOptions = {}) {
    this.#native = new native.Group(checkInteger('inProgress', inProgress, 1, MAX_IN_PROGRESS));
    nativeGroups.set(this, this.#native);
  }

  /** The engines of the newest assignment; one of them may have gone to another group since. */
  get engines(): readonly Engine[] {
    return this.#engines;
  }

  /**
   * The engines that serve the group from now on; without any, descriptors wait. An engine belongs to one group: the
   * newest assignment wins. What an engine has in work it ends.
   *
   * @throws TypeError when the group or one of the engines is closed, RangeError when there are more than 64 of them;
   * then nothing has changed.
   */
  setEngines(engines: readonly Engine[]): void {
    this.#native.setEngines(engines.map(nativeEngine));
    this.#engines = [...engines];
  }

  /** Lets go of engines and queues; descriptors that wait there stay until their device is reset. Repeats do nothing. */
  close(): void {
    this.#engines = [];
    this.#native.close();
  }

  /** {@link close} */
  [Symbol.dispose](): void {
    this.close();
  }
}
