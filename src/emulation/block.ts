import type { RegisterArray } from './array.ts';
import type { RegisterGroup } from './group.ts';
import type { Register } from './register.ts';
import { validateBlock } from './validate.ts';

/** Registers, arrays and groups by name, as the specification prints them. */
export type Registers = Readonly<Record<string, Register | RegisterArray | RegisterGroup>>;

/** The registers of one region. Plain data; made by {@link registerBlock}. */
export interface RegisterBlock<R extends Registers = Registers> {
  readonly kind: 'block';
  /** Bytes of the region. */
  readonly size: number;
  readonly registers: R;
}

/**
 * Declares the registers of one region.
 *
 * Bytes that no register covers read 0 and ignore writes.
 *
 * @param size - bytes of the region, at most 65,535 pages of 4 KiB
 * @throws `DeclarationError` that names the register path and what was expected: registers or fields that overlap, are
 * misaligned or lie outside, shared registers that are no aligned word, locks and widths that make no sense
 */
export function registerBlock<const R extends Registers>(size: number, registers: R): RegisterBlock<R> {
  const block: RegisterBlock<R> = { kind: 'block', size, registers };
  validateBlock(block);
  return block;
}
