/** Where clients come from. */
export type ServeAddress =
  /** The path of a socket to be created, at most 107 bytes. It is removed when the server closes. */
  | { readonly socketPath: string }
  /**
   * An inherited UNIX stream socket, which the server owns from now on, unless `serve` throws an `MdevError`. One that listens serves client after client; one that is connected
   * serves that client, and the server closes with it.
   */
  | { readonly fd: number };

/** How a server treats its clients. */
export interface ServeOptions {
  /** How long a client may stay silent before its VERSION message, in milliseconds, 1 to 2^31 - 1. 5,000 when absent. */
  readonly negotiationTimeout?: number;
  /**
   * Accept REGION_WRITE_MULTI, many small writes in one message, from clients that offer it. False when absent, because QEMU (up to 11.1 at
   * least) offers it and then delays writes when it is accepted.
   */
  readonly writeMultiple?: boolean;
  /** Give clients that ask for it a second socket for DMA_READ and DMA_WRITE. True when absent. */
  readonly twinSocket?: boolean;
}
