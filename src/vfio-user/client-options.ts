/** Guest memory for `Client.dmaMap`. */
export interface DmaMapOptions {
  /** Where the device finds it; a multiple of 4,096. */
  readonly address: bigint;
  /** Bytes; a multiple of 4,096. The whole of `memory` when absent. */
  readonly size?: bigint;
  /** What the device may do: "r", "w" or "rw" (when absent). */
  readonly access?: 'r' | 'w' | 'rw';
  /** The file behind it (a `MemoryFile`, say). Without one the server asks by message, and `memory` answers. */
  readonly file?: { readonly fd: number };
  /** Where it begins in the file, bytes. */
  readonly offset?: bigint;
  /** Memory without a file. */
  readonly memory?: Uint8Array;
}

/** Interrupts for `Client.setIrqs`. */
export interface SetIrqsOptions {
  /** VFIO irq index. */
  readonly index: number;
  /** "trigger" when absent. */
  readonly action?: 'mask' | 'unmask' | 'trigger';
  /** First vector; 0 when absent. */
  readonly start?: number;
  /** Vectors; the number of `eventfds` or `booleans` when absent, else 0. */
  readonly count?: number;
  /** eventfds to be signalled, one a vector. An empty list takes those of `count` vectors away. */
  readonly eventfds?: readonly number[];
  /** Which vectors to act on. */
  readonly booleans?: readonly boolean[];
}
