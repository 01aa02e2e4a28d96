import { configDump, resetImage } from '../config-dump.ts';
import { toJson } from '../json.ts';
import { print } from '../messages.ts';
import { availableParents, selectType, type TypeSelection } from '../parents.ts';
import { descriptionAsData, formatTypeDescription } from '../type-description.ts';

/** Options of `mdev describe`. */
export interface DescribeOptions extends TypeSelection {
  readonly json?: boolean;
  readonly dump?: boolean;
}

/** `mdev describe`. */
export function describeType(options: DescribeOptions): void {
  const selected = selectType(availableParents(), options);
  if (options.json === true || options.dump === true) {
    const { configSpace } = selected.type.declarationOf(selected.attributes);
    print(options.json === true ? toJson(descriptionAsData(configSpace)) : configDump(resetImage(configSpace)));
    return;
  }
  print(formatTypeDescription(selected));
}
