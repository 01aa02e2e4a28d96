import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { messageOf } from '../mdev/base/message-of.ts';
import { type MdevDevice, MdevError } from '../mdev/index.ts';
import { tell } from './messages.ts';

/** Larger files are no state of a device, bytes. */
const LARGEST = 256 * 1024 * 1024;

/**
 * Stops the instance and writes its state to a file that only its owner can read. The file is there as a whole or, when this throws, as it was.
 * @throws MdevError when the instance has no state to save, Error with a `code` of the file system.
 */
export async function saveState(device: MdevDevice, path: string): Promise<void> {
  const { transfer } = device;
  if (transfer === undefined)
    throw new MdevError('ENOTTY', `instances of type ${device.type.id} have no state to save`);
  await transfer.suspend();
  const state = await transfer.save();
  const written = `${path}.${process.pid}`;
  try {
    // What a process of this number has left when it died: in a container that is always the same.
    await rm(written, { force: true });
    const file = await open(written, 'wx', 0o600);
    try {
      await file.writeFile(state);
      await file.sync();
    } finally {
      await file.close();
    }
    // Before the file is replaced: who cannot look into the directory finds out while the old one is there.
    const directory = await open(dirname(path), 'r');
    try {
      await rename(written, path);
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    await rm(written, { force: true });
    throw error;
  }
  tell(`the state of instance ${device.uuid} is in ${path}`);
}

/**
 * Gives an instance that nobody has used the state of a file.
 *
 * @returns What removes the file, because what it says is true once. Called when the instance is served: until then the file is all that is left.
 * @throws MdevError `EINVAL` when the state does not fit, Error with a `code` of the file system; the file stays then.
 */
export async function restoreState(
  device: MdevDevice,
  path: string,
  { mayBeMissing }: { readonly mayBeMissing: boolean },
): Promise<() => Promise<void>> {
  const { transfer } = device;
  if (transfer === undefined) throw new MdevError('ENOTTY', `instances of type ${device.type.id} take no state`);
  const state = await readState(path, mayBeMissing);
  if (state === undefined) {
    tell(`there is no ${path} yet; instance ${device.uuid} begins anew`);
    return () => Promise.resolve();
  }
  await transfer.suspend();
  try {
    transfer.restore(state);
  } catch (error) {
    const reason = messageOf(error);
    throw new MdevError('EINVAL', `${path}: ${reason}`, { cause: error });
  } finally {
    transfer.resume();
  }
  return async () => {
    const directory = await open(dirname(path), 'r');
    try {
      await rm(path);
      // What has been used must not come back when the power fails.
      await directory.sync();
    } finally {
      await directory.close();
    }
    tell(`instance ${device.uuid} has the state of ${path}, which is removed`);
  };
}

async function readState(path: string, mayBeMissing: boolean): Promise<Uint8Array | undefined> {
  try {
    const state = await readFile(path);
    if (state.length > LARGEST) throw new MdevError('EINVAL', `${path} has ${state.length} bytes; it is no state`);
    return state;
  } catch (error) {
    if (mayBeMissing && error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
