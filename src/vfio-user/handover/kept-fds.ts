import { duplicateFd } from '../../native/binding.ts';
import { coreOf } from '../../native/device-handle.ts';
import type { SavedClient } from '../server/served-connection.ts';
import type { ServedDevice } from '../server/served-device.ts';

/** File descriptors of clients that may leave while they are sent: duplicates, so that no number comes to mean another file. */
export class KeptFds {
  readonly #device: ServedDevice;
  readonly #fds: number[] = [];

  constructor(device: ServedDevice) {
    this.#device = device;
  }

  /** The same client with descriptors that stay open until {@link close}. @throws Error with a `code`, such as EMFILE. */
  copyOf(client: SavedClient): SavedClient {
    const { native } = client;
    return {
      ...client,
      native: {
        ...native,
        fd: this.#keep(native.fd),
        twinFd: native.twinFd < 0 ? -1 : this.#keep(native.twinFd),
        fds: native.fds.map((fd) => this.#keep(fd)),
      },
      ioFds: client.ioFds.map((own) => ({ ...own, fds: own.fds.map((fd) => this.#keep(fd)) })),
    };
  }

  /** Closes them, without waiting for a client. */
  close(): void {
    const core = coreOf(this.#device.handle);
    for (const fd of this.#fds.splice(0)) core.closeForeignFd(fd);
  }

  #keep(fd: number): number {
    const copy = duplicateFd(fd);
    this.#fds.push(copy);
    return copy;
  }
}
