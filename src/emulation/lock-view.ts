import type { RegisterStorage } from './storage.ts';

/**
 * Locks of a block or an array element by name: true while held. Engines change the same words, so every access is atomic.
 *
 * @param word - index of the lock word in the memory seen as 32-bit words
 */
export function lockView(storage: RegisterStorage, word: number, names: readonly string[], path: string): object {
  const view = {};
  names.forEach((name, bit) => {
    const mask = 1 << bit;
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () => (Atomics.load(storage.words, word) & mask) !== 0,
      set: (held: unknown) => {
        if (typeof held !== 'boolean') throw new TypeError(`${path}locks.${name}: ${String(held)} is not a boolean`);
        if (held) Atomics.or(storage.words, word, mask);
        else Atomics.and(storage.words, word, ~mask);
      },
    });
  });
  return Object.preventExtensions(view);
}
