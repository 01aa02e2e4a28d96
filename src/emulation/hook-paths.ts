import type { RegisterBlock, Registers } from './block.ts';
import { DeclarationError } from './declaration-error.ts';
import type { Register } from './register.ts';

/** Hooks of some register, without its types. */
export interface AnyRegisterHooks {
  readonly beforeRead?: (access: object) => unknown;
  readonly beforeWrite?: (next: object, previous: object, access: object) => unknown;
  readonly afterWrite?: (next: object, previous: object, access: object) => unknown;
}

const HOOK_NAMES = ['beforeRead', 'beforeWrite', 'afterWrite'] as const;

/** Hooks by hook path (`CMD`, `WQCFG.MODE`, `PCIE.DEVCTL`); registers without any are left out. */
export function hooksByPath(block: RegisterBlock, hooks: object): ReadonlyMap<string, AnyRegisterHooks> {
  const found = new Map<string, AnyRegisterHooks>();
  collect(block.registers, hooks, '', found);
  return found;
}

function collect(
  registers: Registers | Readonly<Record<string, Register>>,
  hooks: object,
  prefix: string,
  found: Map<string, AnyRegisterHooks>,
): void {
  for (const [name, value] of Object.entries(hooks) as [string, unknown][]) {
    const path = prefix + name;
    if (value === undefined) continue;
    const item = Object.hasOwn(registers, name) ? registers[name] : undefined;
    if (item === undefined) throw new DeclarationError(`hooks: there is no register ${path}`);
    if (typeof value !== 'object' || value === null) throw new DeclarationError(`hooks: ${path} is no object of hooks`);
    if (item.kind === 'register') addRegister(path, value, found);
    else collect(item.kind === 'group' ? item.registers : item.element, value, `${path}.`, found);
  }
}

function addRegister(path: string, hooks: AnyRegisterHooks, found: Map<string, AnyRegisterHooks>): void {
  // An object of a class has its hooks in the prototype and may have state of its own.
  const isPlain = Object.getPrototypeOf(hooks) === Object.prototype;
  for (const name of isPlain ? Object.keys(hooks) : [])
    if (!(HOOK_NAMES as readonly string[]).includes(name))
      throw new DeclarationError(`hooks: ${path}.${name} is none of ${HOOK_NAMES.join(', ')}`);
  const present = HOOK_NAMES.filter((name) => hooks[name] !== undefined);
  for (const name of present)
    if (typeof hooks[name] !== 'function') throw new DeclarationError(`hooks: ${path}.${name} is not a function`);
  if (present.length > 0) found.set(path, hooks);
}
