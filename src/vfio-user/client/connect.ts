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
  /**
   * Ends the attempt: a server that accepts and says nothing is waited for without end. It has no effect once there is a client.
   */
  readonly signal?: AbortSignal;
}

/** How often a full listener is asked again, and for how long in all. */
const CONNECT_RETRY_MS = 10;
const CONNECT_RETRIES = 500;

/**
 * Connects to a vfio-user server, agrees on the version, and holds the device from then on.
 *
 * @throws {@link VfioError} `ENOENT`, `ECONNREFUSED`, `ENAMETOOLONG`, `EAGAIN` when the server takes no clients for 5 seconds, `EBUSY`
 * when another client holds the device, `EPROTO` when the server is none, …; the reason of {@link ConnectOptions.signal} when that ended it. Nothing is left
 * open then.
 */
export async function connect(address: ConnectAddress, options: ConnectOptions = {}): Promise<Client> {
  const { signal } = options;
  const client = await open(address, signal);
  const abort = (): void => {
    void client.close();
  };
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    if (options.negotiate !== false) await client.negotiate(options.offer);
    // It may have come with the answer.
    signal?.throwIfAborted();
    return client;
  } catch (error) {
    await client.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

async function open(address: ConnectAddress, signal: AbortSignal | undefined): Promise<Client> {
  // A descriptor was given away already: it is closed with its client.
  if ('fd' in address) return attempt(() => new Client(address.fd));
  for (let retries = 0; ; ++retries) {
    signal?.throwIfAborted();
    try {
      return attempt(() => new Client(connectSocket(address.socketPath)));
    } catch (error) {
      if (!(error instanceof VfioError) || error.code !== 'EAGAIN' || retries === CONNECT_RETRIES) throw error;
    }
    await delay(CONNECT_RETRY_MS);
  }
}

function attempt(open: () => Client): Client {
  try {
    return open();
  } catch (error) {
    throw VfioError.ofSystem(error);
  }
}
