/** Has requests take effect in the order in which they are made, although some of them take time. */
export class RequestOrder {
  /** Settles with the last request that was made, as long as it has not. */
  #last: Promise<unknown> | undefined;

  /** Whether a request that is made now has to wait. */
  get busy(): boolean {
    return this.#last !== undefined;
  }

  /**
   * Does what is asked for: at once when nothing is under way, so that it is done when this returns unless it takes time itself, else behind it. What it
   * throws, the promise rejects with; what follows is done all the same.
   */
  run<T>(action: () => T | Promise<T>): Promise<T> {
    if (this.#last !== undefined) return this.#follow(this.#last.then(action));
    return new Promise((resolve) => {
      const result = action();
      resolve(result instanceof Promise ? this.#follow(result) : result);
    });
  }

  #follow<T>(request: Promise<T>): Promise<T> {
    const last: Promise<unknown> = request
      .catch(() => undefined)
      .then(() => {
        if (this.#last === last) this.#last = undefined;
      });
    this.#last = last;
    return request;
  }
}
