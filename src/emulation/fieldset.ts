import { codecOf } from './field-codec.ts';
import type { Register } from './register.ts';
import { valueOf } from './register-value.ts';

/** The halves that a fieldset shows. */
export interface Halves {
  low: number;
  high: number;
}

/** A fieldset for hooks over halves that the interpreter sets before each call: nothing is decoded before it is asked for. */
export function fieldset(register: Register, halves: Halves): object {
  const fields = {};
  for (const [name, field] of Object.entries(register.fields)) {
    const codec = codecOf(field);
    Object.defineProperty(fields, name, { enumerable: true, get: () => codec.read(halves.low, halves.high) });
  }
  Object.defineProperty(fields, 'value', { get: () => valueOf(register.width, halves.low, halves.high) });
  return Object.preventExtensions(fields);
}
