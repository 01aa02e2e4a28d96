import type { Hooks, RegisterBlock, RegisterHooks, Registers } from '../../emulation/index.ts';
import { callSynchronously } from '../base/call-synchronously.ts';
import { messageOf } from '../base/message-of.ts';
import { plainHooks } from '../base/plain-hooks.ts';

/** What a hook threw, and where. Its stack is that of what was thrown. */
export class HookFailure extends Error {
  override readonly name = 'HookFailure';
  /** The register (`bar0.WQCFG[3].MODE`). */
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`${path}: ${messageOf(cause)}`, { cause });
    this.path = path;
    if (cause instanceof Error && cause.stack !== undefined) this.stack = cause.stack;
  }
}

/**
 * The same hooks, which throw a {@link HookFailure} that names the register when they throw.
 * @param region Name of the region, the first part of every path.
 */
export function guardHooks<B extends RegisterBlock>(region: string, block: B, hooks: Hooks<B>): Hooks<B> {
  return guardAll(block.registers, hooks, `${region}.`) as Hooks<B>;
}

type HookTree = Readonly<Record<string, unknown>>;

function guardAll(registers: Registers, hooks: object, prefix: string): HookTree {
  const guarded: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(hooks as HookTree)) {
    const item = Object.hasOwn(registers, name) ? registers[name] : undefined;
    // What does not mirror the block is passed on: the emulation refuses it with a message of its own.
    if (item === undefined || typeof value !== 'object' || value === null) guarded[name] = value;
    else if (item.kind === 'register') guarded[name] = guardRegister(value, () => `${prefix}${name}`);
    else if (item.kind === 'group') guarded[name] = guardAll(item.registers, value, `${prefix}${name}.`);
    else {
      guarded[name] = Object.fromEntries(
        Object.entries(value as HookTree).map(([part, element]) => [
          part,
          typeof element === 'object' && element !== null
            ? guardRegister(element, (index) => `${prefix}${name}[${index}].${part}`)
            : element,
        ]),
      );
    }
  }
  return guarded;
}

function guardRegister(hooks: object, path: (index: number) => string): object {
  const plain = plainHooks(hooks);
  const { beforeRead, beforeWrite, afterWrite } = plain;
  const guarded: { -readonly [K in keyof RegisterHooks]: RegisterHooks[K] } = { ...plain };
  if (typeof beforeRead === 'function') {
    guarded.beforeRead = (access) => {
      try {
        return callSynchronously('beforeRead', () => beforeRead(access));
      } catch (error) {
        throw new HookFailure(path(access.index), error);
      }
    };
  }
  if (typeof beforeWrite === 'function') guarded.beforeWrite = guardWrite('beforeWrite', beforeWrite, path);
  if (typeof afterWrite === 'function') guarded.afterWrite = guardWrite('afterWrite', afterWrite, path);
  return guarded;
}

type WriteHook = NonNullable<RegisterHooks['afterWrite']>;

function guardWrite(name: string, hook: WriteHook, path: (index: number) => string): WriteHook {
  return (next, previous, access) => {
    try {
      return callSynchronously(name, () => hook(next, previous, access));
    } catch (error) {
      throw new HookFailure(path(access.index), error);
    }
  };
}
