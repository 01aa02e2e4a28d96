import type { Attachment, Holder, IoEventFd, Migration, StateTransfer } from '../../mdev/index.ts';
import type { DeviceHandle } from '../../native/device-handle.ts';
import type { ServedRegion } from './answers/region-info.ts';

/** What a server needs of a device. A mediated instance satisfies it; so does anything else that has a native half. */
export interface ServedDevice {
  /** The native half. DEVICE_RESET goes to its trap handler. */
  readonly handle: DeviceHandle;
  /**
   * GET_REGION_INFO by VFIO index, from 9 on the device's own regions. An index that is missing has no region. What can be mapped is shown to clients
   * that take as many file descriptors in one message as the region's `map` has.
   */
  readonly regions: readonly ServedRegion[];
  /** GET_IRQ_INFO by VFIO index 0 to 4: vectors, and VFIO's flags. An index that is missing has no vectors. */
  readonly irqs: readonly { readonly count: number; readonly flags: number }[];
  /** GET_REGION_IO_FDS, with VFIO region indices; none when absent. Each is an aligned access inside its region. */
  readonly ioEventFds?: readonly (IoEventFd & { readonly region: number })[];
  /** Absent: the device cannot be migrated. */
  readonly migration?: Migration | undefined;
  /** Absent: the device cannot move to another process (`Server.handOver`). */
  readonly transfer?: StateTransfer | undefined;
  /**
   * Tells at once whether the device stands still, and whenever that changes, until the function that it returns is called. While it stands still what the guest signals
   * by ioeventfds waits. Absent: it never does.
   */
  watchPaused?(listener: (paused: boolean) => void): () => void;
  /**
   * Asked before the device is served; absent: it can be.
   *
   * @throws `MdevError` when it shows what does not work over vfio-user.
   */
  checkServable?(): void;
  /**
   * Takes hold of the device for a client whose version is agreed.
   *
   * @throws `MdevError` or `VfioError` when somebody else holds it or it cannot be used: the client is refused with its `code`, and the message
   * says why and by whom. Anything else that is thrown refuses the client with EIO.
   */
  attach(holder: Holder): Pick<Attachment, 'start' | 'detach'>;
}
