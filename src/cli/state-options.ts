import { resolve } from 'node:path';

import { checkWritable } from './state-file.ts';
import { UsageError } from './usage-error.ts';

/** The options that name a file of state, and those whose paths are sockets. */
export interface StateOptions {
  readonly saveOnExit?: string;
  readonly restore?: string;
  readonly socketPath?: string;
  readonly handover?: string;
}

/** Options by name, as the operator writes them. */
const FILES = { saveOnExit: '--save-on-exit', restore: '--restore' } as const;
const SOCKETS = { socketPath: '--socket-path', handover: '--handover' } as const;

/**
 * Looks at the files of state before anything begins: what is only found out when the command ends costs the state.
 *
 * @throws UsageError for a path that is none, or a socket's; StateFileFailure when nothing can be written there.
 */
export async function checkStateOptions(options: StateOptions): Promise<void> {
  for (const file of Object.keys(FILES) as (keyof typeof FILES)[]) {
    const path = options[file];
    if (path === '') throw new UsageError(`${FILES[file]} has no path`);
    for (const socket of Object.keys(SOCKETS) as (keyof typeof SOCKETS)[]) {
      const other = options[socket];
      if (path === undefined || other === undefined || resolve(path) !== resolve(other)) continue;
      throw new UsageError(`${FILES[file]} and ${SOCKETS[socket]} are both ${path}; expected a file and a socket`);
    }
  }
  if (options.saveOnExit !== undefined) await checkWritable(options.saveOnExit);
}

/** Whether the state that is restored is the one that is saved: then there need not be one yet. */
export function isSameFile({ restore, saveOnExit }: StateOptions): boolean {
  return restore !== undefined && saveOnExit !== undefined && resolve(restore) === resolve(saveOnExit);
}
