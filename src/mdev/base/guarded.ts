/**
 * Calls somebody who is told, after what is told has happened. Their error is no error of an instance or a registry: it
 * is thrown where nobody's state depends on it, as an uncaught exception of the program that listens.
 */
export function guarded(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
