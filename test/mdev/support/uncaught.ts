import { vi } from 'vitest';

/** What listeners throw while `action` runs: it would be uncaught otherwise. */
export async function uncaughtDuring(action: () => unknown): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  vi.stubGlobal('queueMicrotask', (later: () => void) => {
    try {
      later();
    } catch (error) {
      errors.push(error);
    }
  });
  try {
    await action();
  } finally {
    vi.unstubAllGlobals();
  }
  return errors;
}
