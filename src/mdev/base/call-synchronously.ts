/** A vendor's function gave a promise where it must be done when it returns. */
export class AsynchronousError extends TypeError {
  override readonly name = 'AsynchronousError';
}

/**
 * Calls a vendor's function that must be done when it returns. A promise is refused even if it resolves: what the
 * function does later would happen to an instance that has gone on. Its rejection is not left unhandled.
 * @param name The function, for the message (`stop`).
 * @throws {@link AsynchronousError} when it gives a promise; what the function throws.
 */
export function callSynchronously<T>(name: string, call: () => T): T {
  const result = call();
  if (!isThenable(result)) return result;
  Promise.resolve(result).catch(() => undefined);
  throw new AsynchronousError(`${name} gave a promise; expected a function that is done when it returns`);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
