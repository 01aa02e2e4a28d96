import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Before all guest tests: the program under test must be built, and the guest complete (setup.sh returns at once if so). */
export default function prepareGuest(): void {
  const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
  if (process.env['MDEV_COMMAND'] === undefined && !existsSync(main)) {
    throw new Error(`${main} is missing: run npm run build`);
  }
  const { status } = spawnSync(join(import.meta.dirname, 'setup.sh'), { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`setup.sh ended with ${String(status)}`);
}
