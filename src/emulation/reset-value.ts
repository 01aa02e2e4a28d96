import { join64 } from './bits.ts';
import { DeclarationError } from './declaration-error.ts';
import { codecOf, type FieldCodec } from './field-codec.ts';
import type { FieldStates } from './infer.ts';
import type { Fields } from './register.ts';

/**
 * The value of a register whose fields have these values, the others 0; for `reset`.
 *
 * @throws {@link DeclarationError} for a name that is no field, or for a value that does not fit
 */
export function resetValue<F extends Fields>(fields: F, values: Partial<FieldStates<F>>): bigint {
  let low = 0;
  let high = 0;
  for (const [name, value] of Object.entries(values) as [string, unknown][]) {
    if (value === undefined) continue;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) throw new DeclarationError(`reset: there is no field ${name}`);
    const codec: FieldCodec = codecOf(field);
    try {
      codec.check(value, 'reset', name);
    } catch (error) {
      throw new DeclarationError(error instanceof Error ? error.message : String(error));
    }
    low |= codec.low(value);
    high |= codec.high(value);
  }
  return join64(low, high);
}
