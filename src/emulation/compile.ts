import type { RegisterBlock } from './block.ts';
import { encodeTable } from './encode.ts';
import { type Entry, entryOf } from './entry.ts';
import { type AnyRegisterHooks, hooksByPath } from './hook-paths.ts';
import type { Hooks } from './hooks.ts';
import { type Layout, layoutOf } from './layout.ts';
import { indexOf, type TableIndex } from './table-index.ts';

/** A block compiled for one set of hooked registers. Immutable and shared by all instances. */
export interface CompiledTable<B extends RegisterBlock = RegisterBlock> {
  readonly block: B;
  /** The native table (`table-format.ts`). */
  readonly bytes: Uint8Array;
  /** Bytes of a region's memory: registers, lock words, staging slots. */
  readonly memorySize: number;
  /** Byte offset of lock word 0 in a region's memory. */
  readonly lockOffset: number;
  /** Byte offset of staging slot 0 in a region's memory. */
  readonly stageOffset: number;
  /** The interpreter's form of the table; private to this package. */
  readonly '~interpreter': { readonly layout: Layout; readonly entries: readonly Entry[]; readonly index: TableIndex };
}

const tables = new WeakMap<RegisterBlock, Map<string, CompiledTable>>();

/**
 * Compiles a block. An access to a register with a hook of its direction traps to JavaScript; all others are answered
 * from the table. The result is cached: the same block with hooks on the same registers yields the same table.
 *
 * @param hooks - which registers have hooks; the functions themselves are not kept
 * @throws `DeclarationError` if `hooks` names something that is no register, or no hook
 */
export function compile<B extends RegisterBlock>(block: B, hooks: Hooks<B> = {}): CompiledTable<B> {
  const hooked = hooksByPath(block, hooks);
  const key = [...hooked]
    .map(([path, hook]) => `${path}:${trapsRead(hook) ? 'r' : ''}${trapsWrite(hook) ? 'w' : ''}`)
    .sort()
    .join(' ');
  let cached = tables.get(block);
  if (cached === undefined) tables.set(block, (cached = new Map<string, CompiledTable>()));
  let table = cached.get(key);
  if (table === undefined) cached.set(key, (table = build(block, hooked)));
  return table as CompiledTable<B>;
}

function build(block: RegisterBlock, hooked: ReadonlyMap<string, AnyRegisterHooks>): CompiledTable {
  const layout = layoutOf(block);
  const entries = layout.registers.map((laidOut, position) => {
    const hook = hooked.get(laidOut.hookPath);
    return entryOf(laidOut, position, layout, trapsRead(hook), trapsWrite(hook));
  });
  const index = indexOf(entries, block.size);
  const { memorySize, lockOffset, stageOffset } = layout;
  const bytes = encodeTable(entries, index, layout, block.size);
  return { block, bytes, memorySize, lockOffset, stageOffset, '~interpreter': { layout, entries, index } };
}

function trapsRead(hook: AnyRegisterHooks | undefined): boolean {
  return hook?.beforeRead !== undefined;
}

function trapsWrite(hook: AnyRegisterHooks | undefined): boolean {
  return hook?.beforeWrite !== undefined || hook?.afterWrite !== undefined;
}
