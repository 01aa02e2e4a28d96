import { endsWithin } from '../base/ends-within.ts';

/**
 * The background work of one instance. `signal` lives as long as the instance; each task's own signal also ends at the
 * next reset, because work that began before a reset must not touch the state after it.
 */
export class Tasks {
  /** Ends when the instance fails or closes. */
  readonly signal: AbortSignal;
  readonly #life = new AbortController();
  readonly #onFailure: (error: unknown) => void;
  /** With their names. */
  readonly #running = new Map<Promise<void>, string>();
  #started = 0;
  #epoch = new AbortController();

  /** @param onFailure Told of a task that rejected while its signal had not ended. */
  constructor(onFailure: (error: unknown) => void) {
    this.signal = this.#life.signal;
    this.#onFailure = onFailure;
  }

  /**
   * Starts a task. After the end of the instance it is not started.
   * @param name For messages; the function's name, or how many tasks were started before, when absent.
   */
  start(work: (signal: AbortSignal) => Promise<void>, name?: string): void {
    const { signal } = this.#epoch;
    if (signal.aborted) return;
    this.#started += 1;
    const running = this.#run(work, signal).finally(() => this.#running.delete(running));
    this.#running.set(running, name ?? (work.name === '' ? `task ${this.#started}` : work.name));
  }

  /** A reset: ends the signals of all running tasks; later tasks have a new one. */
  reset(): void {
    this.#epoch.abort(new Error('the device was reset'));
    if (!this.#life.signal.aborted) this.#epoch = new AbortController();
  }

  /** Ends every signal for good. */
  end(): void {
    const reason = new Error('the instance has ended');
    this.#life.abort(reason);
    this.#epoch.abort(reason);
  }

  /**
   * Resolves when no task runs, or after so many milliseconds. Every signal should have ended before.
   * @returns The names of those that still run.
   */
  async settled(milliseconds: number): Promise<readonly string[]> {
    if (this.#running.size > 0) await endsWithin(Promise.all(this.#running.keys()), milliseconds);
    return [...this.#running.values()];
  }

  async #run(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error);
    }
  }
}
