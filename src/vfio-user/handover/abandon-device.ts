import { guarded } from '../../mdev/base/guarded.ts';
import { coreOf } from '../../native/device-handle.ts';
import { abandonClient } from '../native.ts';
import type { ServedDevice } from '../server/served-device.ts';

/**
 * Another process has the clients of a device: it lets go of guest memory, eventfds and the memory of regions, without a signal, and of the hold on it.
 * What fails is thrown where nobody's state depends on it: a process that cannot let go is better off ended.
 */
export function abandonDevice({ handle, transfer }: ServedDevice): void {
  guarded(() => {
    abandonClient(coreOf(handle));
  });
  guarded(() => transfer?.abandon());
}
