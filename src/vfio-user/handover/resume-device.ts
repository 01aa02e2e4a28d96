import type { ServedDevice } from '../server/served-device.ts';

/**
 * Lets a suspended device go on, whatever its behaviour makes of that. One that cannot go on has failed its instance, which says so itself: it reads all
 * ones from then on, and its clients get their answers all the same.
 */
export function resumeDevice({ transfer }: ServedDevice): void {
  try {
    transfer?.resume();
  } catch {
    // Told by the instance.
  }
}
