import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type MdevDevice, MdevRegistry } from '../../mdev/index.ts';
import { serve } from '../../vfio-user/index.ts';
import { ExitCode } from '../exit-code.ts';
import { print, tell } from '../messages.ts';
import { availableParents, selectType } from '../parents.ts';
import { catchStopSignals } from '../stop-signals.ts';
import type { OperationName } from './operation-names.ts';

/** Options of `npm start`. */
export interface DemoOptions {
  readonly type: string;
  readonly corrupt?: OperationName;
}

/** How long the second process may take, milliseconds; its own limits are shorter. */
const PATIENCE_MS = 45_000;
const GUEST = fileURLToPath(new URL('guest.js', import.meta.url));

/** Serves an instance to a second process, and ends with the exit code of that one. Leaves no file and no process behind. */
export async function runDemo({ corrupt, type }: DemoOptions): Promise<ExitCode> {
  const stopped = catchStopSignals();
  const parents = availableParents();
  const { parent } = selectType(parents, { type, set: {} });
  const registry = new MdevRegistry();
  registry.register(parent);
  const folder = await mkdtemp(join(tmpdir(), 'mdev-demo-'));
  try {
    const device = await registry.create({ parent: parent.name, type });
    const socketPath = join(folder, 'socket');
    await using _server = serve(device, { socketPath });
    print(`Instance ${device.uuid} of ${type} on ${parent.name}, served over vfio-user by process ${process.pid}.`);
    const words = [GUEST, socketPath, type, ...(corrupt === undefined ? [] : [corrupt])];
    const guest = spawn(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] });
    print(`Process ${guest.pid ?? 'none'} is its VMM and guest.\n`);
    const exitCode = await endOf(guest, stopped);
    if (exitCode === ExitCode.success) printStatistics(device);
    return exitCode;
  } finally {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The exit code of a process, which is ended when it takes too long, or when this one is told to stop. */
async function endOf(guest: ChildProcess, stopped: Promise<NodeJS.Signals>): Promise<ExitCode> {
  const ended = once(guest, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve(`the second process did not end within ${PATIENCE_MS / 1000} s`);
    }, PATIENCE_MS);
  });
  const outcome = await Promise.race([
    ended.then(([code, signal]) => ({ code, signal })),
    late,
    stopped.then((signal) => `stopped by ${signal}`),
  ]);
  clearTimeout(timer);
  if (typeof outcome === 'string') {
    guest.kill('SIGKILL');
    await ended;
    tell(outcome);
    return ExitCode.failure;
  }
  if (outcome.signal !== null) tell(`the second process was ended by ${outcome.signal}`);
  return outcome.code === 0 ? ExitCode.success : ExitCode.failure;
}

function printStatistics(device: MdevDevice): void {
  const { reads, traps, writes } = device.statistics;
  print(`The server answered ${reads} reads and ${writes} writes of regions; ${traps} of them entered JavaScript.`);
}
