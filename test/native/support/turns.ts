/** Lets at most so many works be under way at a time. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param atOnce - how many */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Does `work` when it is its turn, or before everybody who is `in turn`. */
  async take<T>(when: 'in turn' | 'soon', work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((go) => {
        if (when === 'soon') this.#waiting.unshift(go);
        else this.#waiting.push(go);
      });
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
