import { native, type NativeEngine } from './native.ts';

const nativeEngines = new WeakMap<Engine, NativeEngine>();

/** The engine's native half; for {@link Group}. */
export function nativeEngine(engine: Engine): NativeEngine {
  const found = nativeEngines.get(engine);
  if (found === undefined) throw new TypeError('engine is not an Engine');
  return found;
}

/** What an {@link Engine} may be told. */
export interface EngineOptions {
  /** What the operating system calls its thread, of which Linux shows 15 bytes. `engine` when absent. */
  readonly name?: string;
}

/**
 * One engine: a thread of its own that executes the descriptors of its group's queues, in turns of 64 KiB (DSA
 * specification 3.2).
 *
 * Close it: a running engine that is only forgotten ends when it is garbage-collected.
 */
export class Engine implements Disposable {
  /** Its name. */
  readonly name: string;
  readonly #native: NativeEngine;

  /** @throws Error with a `code` when the system has no thread left. */
  constructor(options: EngineOptions = {}) {
    this.name = options.name ?? 'engine';
    this.#native = new native.Engine(this.name);
    nativeEngines.set(this, this.#native);
  }

  /**
   * Leaves its group and ends the thread, after at most one chunk. Descriptors that it has in work go on where they
   * stopped, on the next engine of their queue's group that has time; when there is none, on the first that the group is
   * given. Repeats do nothing.
   */
  close(): void {
    this.#native.close();
  }

  /** {@link close} */
  [Symbol.dispose](): void {
    this.close();
  }
}
