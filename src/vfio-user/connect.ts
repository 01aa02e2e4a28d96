import { setTimeout as delay } from 'node:timers/promises';

import { Client } from './client.ts';
import { connectSocket } from './native.ts';

/** Where a server is. */
export type ConnectAddress =
  | { readonly socketPath: string }
  /** A connected UNIX stream socket, which the client owns from now on. */
  | { readonly fd: number };

/** How often a full listener is asked again, and for how long in all. */
const CONNECT_RETRY_MS = 10;
const CONNECT_RETRIES = 500;

/**
 * Connects to a vfio-user server. The version is still to be agreed on: {@link Client.negotiate}.
 *
 * @returns rejects with an Error with a `code` (ENOENT, ECONNREFUSED, ENAMETOOLONG, EAGAIN when the server takes no clients for 5 seconds, …).
 */
export async function connect(address: ConnectAddress): Promise<Client> {
  if ('fd' in address) return new Client(address.fd);
  for (let attempt = 0; ; ++attempt) {
    try {
      return new Client(connectSocket(address.socketPath));
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!isFull || attempt === CONNECT_RETRIES) throw error;
      await delay(CONNECT_RETRY_MS);
    }
  }
}
