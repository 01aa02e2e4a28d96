import { type Engine, nativeEngine } from './engine.ts';
import { native, type NativeGroup } from './native.ts';

const nativeGroups = new WeakMap<Group, NativeGroup>();

/** The group's native half; for `QueueDevice`. */
export function nativeGroup(group: Group): NativeGroup {
  const found = nativeGroups.get(group);
  if (found === undefined) throw new TypeError('group is not a Group');
  return found;
}

/**
 * Work queues, of one device or several, and the engines that serve them.
 *
 * Each queue has as many credits as its priority; a dispatch costs one, and when no queue with work has any left, all
 * get new ones (DSA specification 3.7). So priorities 6 and 2 share dispatches 3 to 1.
 */
export class Group implements Disposable {
  readonly #native: NativeGroup = new native.Group();
  #engines: readonly Engine[] = [];

  constructor() {
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
