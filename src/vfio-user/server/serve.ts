import type { ServedDevice } from '../served-device.ts';
import type { ServeAddress, ServeOptions } from './serve-options.ts';
import { Server } from './server.ts';

/**
 * Serves a device over vfio-user, one client at a time. The server stays up between clients; a second one that comes while the device is held is
 * told EBUSY.
 *
 * The event loop stays alive until the server is closed.
 *
 * @throws What `checkServable` of the device throws; Error with a `code` that names the path or descriptor: ENAMETOOLONG, EADDRINUSE (a live server answers at the path, or it is no
 * socket; a socket that nobody listens at any more is replaced), ENOENT, EACCES, EINVAL, ENOTCONN, EBADF.
 */
export function serve(device: ServedDevice, address: ServeAddress, options: ServeOptions = {}): Server {
  device.checkServable?.();
  return new Server(device, address, options);
}
