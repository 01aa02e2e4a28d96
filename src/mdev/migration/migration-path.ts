import { MigrationFlag, MigrationState } from './migration.ts';

const { error, stop, running, stopCopy, resuming, runningP2p, preCopy, preCopyP2p } = MigrationState;

/** What a device must have for a state, by number. */
const needs: readonly number[] = [
  ~0,
  MigrationFlag.stopCopy,
  MigrationFlag.stopCopy,
  MigrationFlag.stopCopy,
  MigrationFlag.stopCopy,
  MigrationFlag.stopCopy | MigrationFlag.p2p,
  MigrationFlag.stopCopy | MigrationFlag.preCopy,
  MigrationFlag.stopCopy | MigrationFlag.p2p | MigrationFlag.preCopy,
];

/** The next state on the way from a row to a column, both by number, when every state is there. `error`: there is no way. */
const next: readonly (readonly number[])[] = [
  [error, error, error, error, error, error, error, error],
  [error, stop, runningP2p, stopCopy, resuming, runningP2p, runningP2p, runningP2p],
  [error, runningP2p, running, runningP2p, runningP2p, runningP2p, preCopy, runningP2p],
  [error, stop, stop, stopCopy, stop, stop, error, error],
  [error, stop, stop, stop, resuming, stop, stop, stop],
  [error, stop, running, stop, stop, runningP2p, running, preCopyP2p],
  [error, running, running, preCopyP2p, running, running, preCopy, preCopyP2p],
  [error, runningP2p, runningP2p, stopCopy, runningP2p, runningP2p, preCopy, preCopyP2p],
];

function has(flags: number, state: number): boolean {
  const needed = needs[state];
  return needed !== undefined && (flags & needed) === needed;
}

/**
 * The states that a device passes on its way from one to another, the last one included; empty when it is there. Undefined when there is no way: one
 * of them is no state, or `error`, or one that the device does not have, or a saving state would have to begin anew.
 *
 * Between two steps lies one arc of `<linux/vfio.h>`, with arcs through states that the device does not have taken in one step.
 *
 * @param flags {@link MigrationFlag} bits of the device.
 */
export function migrationPath(flags: number, from: number, to: number): readonly number[] | undefined {
  if (!has(flags, from) || !has(flags, to)) return undefined;
  const path: number[] = [];
  for (let state = from; state !== to;) {
    do state = next[state]?.[to] ?? error;
    while (state !== error && !has(flags, state));
    if (state === error) return undefined;
    path.push(state);
  }
  return path;
}
