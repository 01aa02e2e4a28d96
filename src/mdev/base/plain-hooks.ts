import type { RegisterHooks } from '../../emulation/index.ts';

const HOOK_NAMES = ['beforeRead', 'beforeWrite', 'afterWrite'] as const;

/**
 * The same hooks in a plain object, called on the object that they come from: for whoever adds to them. An object of a class gives its hooks, be they
 * its own or its prototype's, and keeps its state. Of a plain object everything comes along: the emulation refuses what it does not know there.
 */
export function plainHooks(hooks: object): RegisterHooks {
  const plain: Record<string, unknown> = Object.getPrototypeOf(hooks) === Object.prototype ? { ...hooks } : {};
  for (const name of HOOK_NAMES) {
    const hook: unknown = Reflect.get(hooks, name);
    if (hook !== undefined) plain[name] = typeof hook === 'function' ? (hook.bind(hooks) as unknown) : hook;
  }
  return plain;
}
