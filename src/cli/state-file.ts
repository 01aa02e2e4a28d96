import { constants } from 'node:fs';
import { access, type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { messageOf } from '../mdev/base/message-of.ts';
import { type MdevDevice, MdevError } from '../mdev/index.ts';
import { tell } from './messages.ts';

/** Larger files are no state of a device, bytes. */
const LARGEST = 256 * 1024 * 1024;
/** How long an instance may take to stop, and then to be saved, when the command ends. No client waits for it any more; without it the state is lost. Milliseconds. */
const SAVED_WITHIN_MS = 30_000;

/** The option that names a file of state. */
type StateOption = '--save-on-exit' | '--restore';

/** What went wrong with a file of state. The message names its option, its path and what to do. */
class StateFileFailure extends Error {
  override readonly name = 'StateFileFailure';

  constructor(option: StateOption, path: string, cause: unknown) {
    const step = nextStep(option, cause);
    super(`${option} ${path}: ${messageOf(cause)}${step === undefined ? '' : `; ${step}`}`, { cause });
  }
}

/**
 * Looks whether a state could be written to a file: its directory is there, and this user may make files in it. Touches nothing that is there: another
 * process may be writing its state to the same place.
 * @throws StateFileFailure
 */
export async function checkWritable(path: string): Promise<void> {
  await naming('--save-on-exit', path, async () => {
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) throw new Error('it is a directory');
    const look = `${partialOf(path)}.look`;
    await (await begin(look)).close();
    await rm(look);
    await (await open(dirname(path), 'r')).close();
  });
}

/**
 * Stops the instance and writes its state to a file that only its owner can read. The file is there as a whole or, when this throws, as it was.
 * @throws StateFileFailure
 */
export async function saveState(device: MdevDevice, path: string): Promise<void> {
  await naming('--save-on-exit', path, async () => {
    checkSavable(device);
    await device.transfer?.suspend({ within: SAVED_WITHIN_MS });
    const state = (await device.transfer?.save({ within: SAVED_WITHIN_MS })) ?? new Uint8Array(0);
    try {
      const file = await begin(partialOf(path));
      try {
        await file.writeFile(state);
        await file.sync();
      } finally {
        await file.close();
      }
      // Before the file is replaced: who cannot look into the directory finds out while the old one is there.
      const directory = await open(dirname(path), 'r');
      try {
        await rename(partialOf(path), path);
        await directory.sync();
      } finally {
        await directory.close();
      }
    } catch (error) {
      await rm(partialOf(path), { force: true });
      throw error;
    }
  });
  tell(`the state of instance ${device.uuid} is in ${path}`);
}

/** @throws MdevError `ENOTTY` when instances of this type have no state to be saved. */
export function checkSavable({ transfer, type }: MdevDevice): void {
  if (transfer === undefined) throw new MdevError('ENOTTY', `instances of type ${type.id} have no state to save`);
}

/**
 * Gives an instance that nobody has used the state of a file.
 *
 * @returns What removes the file, because what it says is true once. Called when the instance is served: until then the file is all that is left.
 * @throws StateFileFailure when it cannot be read or the state does not fit; the file stays then.
 */
export async function restoreState(
  device: MdevDevice,
  path: string,
  { mayBeMissing }: { readonly mayBeMissing: boolean },
): Promise<() => Promise<void>> {
  const isThere = await naming('--restore', path, async () => {
    const { transfer } = device;
    if (transfer === undefined) throw new MdevError('ENOTTY', `instances of type ${device.type.id} take no state`);
    const state = await readState(path, mayBeMissing);
    if (state === undefined) return false;
    // It is to be removed when the instance is served.
    await access(dirname(path), constants.R_OK | constants.W_OK | constants.X_OK);
    await transfer.suspend();
    try {
      transfer.restore(state);
    } finally {
      transfer.resume();
    }
    return true;
  });
  if (!isThere) {
    tell(`there is no ${path} yet; instance ${device.uuid} begins anew`);
    return () => Promise.resolve();
  }
  return () => naming('--restore', path, () => removeState(device, path));
}

async function removeState({ uuid }: MdevDevice, path: string): Promise<void> {
  const directory = await open(dirname(path), 'r');
  try {
    await rm(path);
    // What has been used must not come back when the power fails. From here on this process has all that is left of it, so it goes on.
    await directory.sync().catch((error: unknown) => {
      tell(`${path} is removed, but may come back when the power fails now: ${messageOf(error)}`);
    });
  } finally {
    await directory.close();
  }
  tell(`instance ${uuid} has the state of ${path}, which is removed`);
}

/** Where a state is while it is being written. */
function partialOf(path: string): string {
  return `${path}.${process.pid}`;
}

/** Replaces what a process of this number has left when it died: in a container that is always the same. */
async function begin(path: string): Promise<FileHandle> {
  await rm(path, { force: true });
  return await open(path, 'wx', 0o600);
}

async function readState(path: string, mayBeMissing: boolean): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    // A FIFO that nobody writes to is not waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (mayBeMissing && codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw new Error('it is no file');
    if (facts.size > LARGEST) throw new Error(`it has ${facts.size} bytes, and no state has more than ${LARGEST}`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function naming<T>(option: StateOption, path: string, part: () => Promise<T>): Promise<T> {
  try {
    return await part();
  } catch (error) {
    throw new StateFileFailure(option, resolve(path), error);
  }
}

function nextStep(option: StateOption, cause: unknown): string | undefined {
  const code = codeOf(cause);
  if (code === 'ENOENT') {
    return option === '--restore'
      ? 'name the same file for --save-on-exit if it need not be there yet'
      : 'create its directory first';
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `choose a file ${option === '--restore' ? 'that you may read, ' : ''}in a directory that you may write to`;
  }
  if (code === 'ENOTDIR') return 'choose a file in a directory';
  if (code === 'ENAMETOOLONG') return 'choose a shorter name';
  return undefined;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
