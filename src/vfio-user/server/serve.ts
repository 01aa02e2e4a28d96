import { checkTimeLimit } from '../../mdev/errors/time-limit.ts';
import { MdevError, type MdevErrorCode } from '../../mdev/index.ts';
import type { ServeAddress, ServeOptions } from './serve-options.ts';
import type { ServedDevice } from './served-device.ts';
import { Server } from './server.ts';

/** What can be wrong with an address. Anything else is no mistake of who gave it. */
const MISTAKES: ReadonlySet<unknown> = new Set<MdevErrorCode>([
  ...(['EACCES', 'EADDRINUSE', 'EBADF', 'EINVAL', 'ENAMETOOLONG', 'ENOENT', 'ENOTCONN', 'ENOTDIR'] as const),
]);
const MAX_FD = 0x7fff_ffff;

/**
 * Serves a device over vfio-user, one client at a time. The server stays up between clients; a second one that comes while the device is held is
 * told EBUSY.
 *
 * The event loop stays alive until the server is closed.
 *
 * @throws {@link MdevError} that names the path, descriptor or option, its value and what was expected; a descriptor stays the caller's then. `EADDRINUSE`:
 * a live server answers at the path, or it is no socket (a socket that nobody listens at any more is replaced); `ENOENT`, `ENOTDIR`, `EACCES`: its
 * directory; `ENAMETOOLONG`; `EBADF`, `ENOTCONN`, `EINVAL`: not a UNIX stream socket that listens or is connected, or an option out of range. Error with
 * another `code` (`EMFILE`, …) when the process cannot have the socket; Error without one when the device is closed; and
 * what `checkServable` of the device throws.
 */
export function serve(device: ServedDevice, address: ServeAddress, options: ServeOptions = {}): Server {
  checkAddress(address);
  checkTimeLimit('negotiationTimeout', options.negotiationTimeout);
  device.checkServable?.();
  try {
    return new Server(device, address, options);
  } catch (error) {
    throw mistakeOf(error) ?? error;
  }
}

function checkAddress(address: ServeAddress): void {
  if (!('fd' in address)) return;
  const { fd } = address;
  if (Number.isInteger(fd) && fd >= 0 && fd <= MAX_FD) return;
  throw new MdevError('EBADF', `fd is ${fd}; expected a file descriptor, 0 to ${MAX_FD}`);
}

function mistakeOf(error: unknown): MdevError | undefined {
  if (!(error instanceof Error) || !('code' in error) || !MISTAKES.has(error.code)) return undefined;
  return new MdevError(error.code as MdevErrorCode, error.message, { cause: error });
}
