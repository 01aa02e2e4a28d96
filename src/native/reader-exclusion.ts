import { setTimeout } from 'node:timers/promises';

import { addon } from './addon.ts';
import type { DeviceCore } from './device-core/device-core.ts';

/** While it has not ended, engines that come to a device's guest memory are turned away. */
interface NativeReaderExclusion {
  /** Whether those that were in have left. The first call waits for 100 µs at most, a later one not at all. */
  complete(): boolean;
  /** Lets engines in again. Idempotent. */
  end(): void;
}

const { ReaderExclusion } = addon as {
  readonly ReaderExclusion: new (device: DeviceCore) => NativeReaderExclusion;
};

/** How often somebody looks whether engines have left, milliseconds: only memory that is slow to come takes longer than the first look. */
const LOOK_MS = 1;

/**
 * Does what would wait for engines in the guest memory of these devices, without the thread waiting: as long as an engine works on a chunk there, which takes
 * as long as the client lets its pages take, the thread does other things, and engines that come are turned away.
 *
 * @param devices not closed.
 * @param action is called once, with no engine in that memory until it returns. It does the same as ever, and what in it waits for engines does not.
 * @returns what `action` returns, or a promise of that when engines did not leave within 100 µs.
 */
export function whileReadersAreOut<T>(devices: readonly DeviceCore[], action: () => T): T | Promise<Awaited<T>> {
  const exclusions: NativeReaderExclusion[] = [];
  const end = (): void => {
    for (const exclusion of exclusions) exclusion.end();
  };
  const act = (): T => {
    try {
      return action();
    } finally {
      end();
    }
  };
  try {
    for (const device of devices) exclusions.push(new ReaderExclusion(device));
  } catch (error) {
    end();
    throw error;
  }
  const areOut = (): boolean => exclusions.every((exclusion) => exclusion.complete());
  return areOut() ? act() : actLater(areOut, act);
}

async function actLater<T>(areOut: () => boolean, act: () => T): Promise<Awaited<T>> {
  do await setTimeout(LOOK_MS);
  while (!areOut());
  return await act();
}
