/** VFIO's device migration protocol, version 2 (`<linux/vfio.h>`): facts, and what a device that can be migrated offers. */

/** VFIO_DEVICE_STATE_*. */
export const MigrationState = {
  error: 0,
  stop: 1,
  running: 2,
  stopCopy: 3,
  resuming: 4,
  runningP2p: 5,
  preCopy: 6,
  preCopyP2p: 7,
} as const;

/** VFIO_MIGRATION_*: the optional states that a device has. `stopCopy` is always set. */
export const MigrationFlag = { stopCopy: 1, p2p: 2, preCopy: 4 } as const;

/**
 * Lets a device see what its guest did that has not reached it yet: a bounded part of it.
 * @returns whether that was all.
 */
export type Settle = () => boolean;

/**
 * A device's side of migration, whoever asks for it. States are numbers of {@link MigrationState}.
 *
 * What a method throws, or rejects with, is the vendor's mistake, unless it is an `MdevError` or a `VfioError`: then the request is refused with
 * its `code`.
 */
export interface Migration {
  /** {@link MigrationFlag} bits. */
  readonly flags: number;
  /** Where the device is. */
  readonly state: number;
  /** About how many bytes a stream still has to carry when the device stops now. */
  readonly stopCopySize: number;
  /**
   * Moves the device; done when the last step is. The one that is asked for is any number that a client may send: EINVAL when it is no state or
   * cannot be reached. When a step fails the device stays where it was, or is in `error`.
   * @param settle to be called while the device still runs, when it is to stop: again and again, with others' turns in between, for a bounded time.
   */
  setState(state: number, settle?: Settle): void | Promise<void>;
  /**
   * The next bytes of the stream, `size` at most and 1 at least; fewer: there are no more for now. Called in a saving state only (`preCopy`,
   * `preCopyP2p`, `stopCopy`).
   */
  read(size: number): Uint8Array | Promise<Uint8Array>;
  /** Takes the next bytes of the stream, all of them. Called in `resuming` only. */
  write(data: Uint8Array): void | Promise<void>;
}
