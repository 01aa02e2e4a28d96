import type { Registers } from './block.ts';

/** A named part of a block. Plain data; made by {@link group}. */
export interface RegisterGroup<R extends Registers = Registers> {
  readonly kind: 'group';
  /** Byte offset in the block or the outer group. */
  readonly offset: number;
  readonly registers: R;
}

/**
 * Registers that have a name together, such as a PCI capability.
 *
 * @param offset - byte offset of the group
 * @param registers - registers with offsets relative to the group; their locks belong to the block
 */
export function group<const R extends Registers>(offset: number, registers: R): RegisterGroup<R> {
  return { kind: 'group', offset, registers };
}
