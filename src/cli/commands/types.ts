import { toJson } from '../json.ts';
import { print } from '../messages.ts';
import { availableParents } from '../parents.ts';
import { formatTypes, typesAsData } from '../type-listing.ts';

/** Options of `mdev types`. */
export interface TypesOptions {
  readonly json?: boolean;
}

/** `mdev types`. */
export function listTypes(options: TypesOptions): void {
  const parents = availableParents();
  print(options.json === true ? toJson(typesAsData(parents)) : formatTypes(parents));
}
