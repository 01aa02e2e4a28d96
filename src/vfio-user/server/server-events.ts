/** What a server tells. */
export interface ServerEvents {
  /** A client holds the device. */
  connected: [client: string];
  /** That client is gone, and why. */
  disconnected: [client: string, reason: string];
  /** A message was refused; told once for each command of a client. */
  refused: [client: string, message: string];
  /**
   * Something threw while a client was served: a device's code, or a listener of these events. The client's connection ends. Told of a client that
   * comes when the device is closed, too; then the server closes.
   */
  failed: [client: string, error: unknown];
  /**
   * Clients cannot be accepted for now (an errno's name); tried again soon. EMFILE: this process has too many open files. EBUSY: what earlier
   * clients of this device left open cannot be closed, because one of them keeps the kernel waiting.
   */
  acceptFailed: [code: string];
  /** Another process has taken over (`handOver`); `closed` follows. */
  handedOver: [];
  closed: [];
}
