import { setTimeout as delay } from 'node:timers/promises';

import { VfioError } from '../../mdev/index.ts';
import { connectSocket } from '../native.ts';
import type { Version } from '../protocol/version.ts';
import { Client } from './client.ts';

/** Where a server is. */
export type ConnectAddress =
  | { readonly socketPath: string }
  /** A connected UNIX stream socket, which the client owns from now on. */
  | { readonly fd: number };

/** How to begin. */
export interface ConnectOptions {
  /** What to tell the server instead of the client's own version and capabilities. */
  readonly offer?: Partial<Version>;
  /** False: nothing is said yet; `Client.negotiate` has to be the first request. For those who test servers. */
  readonly negotiate?: boolean;
}

/** How often a full listener is asked again, and for how long in all. */
const CONNECT_RETRY_MS = 10;
const CONNECT_RETRIES = 500;

/**
 * Connects to a vfio-user server, agrees on the version, and holds the device from then on.
 *
 * @throws {@link VfioError} `ENOENT`, `ECONNREFUSED`, `ENAMETOOLONG`, `EAGAIN` when the server takes no clients for 5 seconds, `EBUSY`
 * when another client holds the device, `EPROTO` when the server is none, …
 */
export async function connect(address: ConnectAddress, options: ConnectOptions = {}): Promise<Client> {
  const client = await open(address);
  if (options.negotiate === false) return client;
  try {
    await client.negotiate(options.offer);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function open(address: ConnectAddress): Promise<Client> {
  for (let attempt = 0; ; ++attempt) {
    try {
      return new Client('fd' in address ? address.fd : connectSocket(address.socketPath));
    } catch (error) {
      const problem = VfioError.ofSystem(error);
      if ('fd' in address || problem.code !== 'EAGAIN' || attempt === CONNECT_RETRIES) throw problem;
      await delay(CONNECT_RETRY_MS);
    }
  }
}
