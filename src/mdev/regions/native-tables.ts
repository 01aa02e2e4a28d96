import type { CompiledTable } from '../../emulation/index.ts';
import { createRegisterTable, type RegisterTable } from '../../native/binding.ts';

const tables = new WeakMap<CompiledTable, RegisterTable>();

/** The native form of a compiled block, made once and shared by all instances. */
export function nativeTable(compiled: CompiledTable): RegisterTable {
  let table = tables.get(compiled);
  if (table === undefined) {
    table = createRegisterTable(compiled.bytes);
    tables.set(compiled, table);
  }
  return table;
}
