import { softwareDsa } from '../backends/idxd/index.ts';
import { type AttributeValues, MdevError, type MdevType, type ParentDevice } from '../mdev/index.ts';
import type { SetValues } from './set-option.ts';
import { UsageError } from './usage-error.ts';

/** What a command works on. */
export interface TypeSelection {
  /** The parent's name; the first parent that has the type when absent. */
  readonly parent?: string;
  /** The type's id or full name. */
  readonly type: string;
  /** Attributes. */
  readonly set: SetValues;
}

/** A type on its parent, and what its attributes make of it. */
export interface SelectedType {
  readonly parent: ParentDevice;
  readonly type: MdevType;
  readonly attributes: AttributeValues;
}

const SEE_TYPES = 'see "mdev types"';

/** The parents that this process can slice. They take nothing until an instance is created. */
export function availableParents(): readonly ParentDevice[] {
  return [softwareDsa()];
}

/** @throws UsageError that names the parent, type or attribute, and what there is instead */
export function selectType(parents: readonly ParentDevice[], selection: TypeSelection): SelectedType {
  const parent = selectParent(parents, selection);
  try {
    const type = parent.type(selection.type);
    return { parent, type, attributes: type.parseAttributes(selection.set) };
  } catch (error) {
    throw asUsageError(error);
  }
}

function selectParent(parents: readonly ParentDevice[], { parent: name, type }: TypeSelection): ParentDevice {
  if (name !== undefined) {
    const named = parents.find((parent) => parent.name === name);
    if (named !== undefined) return named;
    const known = parents.map((parent) => parent.name).join(', ');
    throw new UsageError(`there is no parent "${name}"; known: ${known}`, { nextStep: SEE_TYPES });
  }
  const having = parents.find((parent) =>
    parent.types.some((candidate) => [candidate.id, parent.fullTypeName(candidate)].includes(type)),
  );
  // Any parent can say what is wrong with the name.
  const chosen = having ?? parents[0];
  if (chosen === undefined) throw new UsageError('there is no parent device');
  return chosen;
}

/** A name or value that a type or parent refuses is the command line's mistake. */
export function asUsageError(error: unknown, nextStep = SEE_TYPES): unknown {
  const isUsage = error instanceof MdevError && (error.code === 'EINVAL' || error.code === 'ENODEV');
  return isUsage ? new UsageError(error.message, { cause: error, nextStep }) : error;
}
