import type { RegisterArray } from './array.ts';
import type { RegisterBlock, Registers } from './block.ts';
import type { Entry } from './entry.ts';
import type { Layout } from './layout.ts';
import { lockView } from './lock-view.ts';
import { registerView } from './register-view.ts';
import type { RegisterStorage } from './storage.ts';

/** What views are made of. */
interface Source {
  readonly storage: RegisterStorage;
  readonly layout: Layout;
  readonly entries: ReadonlyMap<string, Entry>;
}

/**
 * The device side of a block: `registers.CMD`, `registers.WQCFG[3].MODE`, `registers.PCIE.DEVCTL`. Views are made when
 * they are first asked for: most registers of most instances never are.
 */
export function registerFile(
  block: RegisterBlock,
  storage: RegisterStorage,
  layout: Layout,
  entries: readonly Entry[],
): object {
  const byPath = new Map(entries.map((entry) => [entry.laidOut.path, entry]));
  return viewOf(block.registers, '', { storage, layout, entries: byPath });
}

function viewOf(registers: Registers, prefix: string, source: Source): object {
  const file = {};
  for (const [name, item] of Object.entries(registers)) {
    const path = prefix + name;
    let view: object | undefined;
    const make = (): object => {
      if (item.kind === 'group') return viewOf(item.registers, `${path}.`, source);
      return item.kind === 'array' ? arrayView(item, path, source) : viewAt(path, source);
    };
    Object.defineProperty(file, name, { enumerable: true, get: () => (view ??= make()) });
  }
  return Object.preventExtensions(file);
}

function arrayView(array: RegisterArray, path: string, source: Source): object {
  const firstLocks = source.layout.elementLocks.get(path);
  const elements = Array.from({ length: array.count }, (_, index) => {
    const prefix = `${path}[${index}].`;
    const element: Record<string, object> = {};
    for (const name of Object.keys(array.element)) element[name] = viewAt(prefix + name, source);
    if (firstLocks !== undefined) {
      const word = source.layout.lockOffset / 4 + firstLocks + index;
      element['locks'] = lockView(source.storage, word, array.locks, prefix);
    }
    return Object.freeze(element);
  });
  return Object.freeze(elements);
}

function viewAt(path: string, { storage, entries }: Source): object {
  const entry = entries.get(path);
  if (entry === undefined) throw new Error(`${path}: not in the table`);
  return registerView(storage, entry);
}
