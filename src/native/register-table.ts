import { addon } from './addon.ts';

declare const opaque: unique symbol;

/** A compiled register block, checked by C++ and shared by all instances of a type. */
export interface RegisterTable {
  readonly [opaque]: 'RegisterTable';
}

const native = addon as { readonly RegisterTable: new (bytes: Uint8Array) => RegisterTable };

/**
 * Checks a compiled table.
 *
 * @throws RangeError that says what is wrong with `bytes`.
 */
export function createRegisterTable(bytes: Uint8Array): RegisterTable {
  return new native.RegisterTable(bytes);
}
