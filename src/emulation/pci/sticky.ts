import type { Access } from '../access.ts';
import { type Field, type FieldValue, surviving } from '../field.ts';

/** The same field, sticky as the PCI Express Base Specification 5.0 means it (7.4): only a cold reset resets it. */
export function sticky<A extends Access, V extends FieldValue, L extends string>(
  field: Field<A, V, L>,
): Field<A, V, L> {
  return surviving(['function', 'software'], field);
}
