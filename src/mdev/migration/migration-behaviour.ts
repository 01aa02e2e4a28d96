/**
 * A vendor's part of migration. The framework carries what it knows of: registers with their staged bytes, config space, memory of regions, masks,
 * latched interrupts and the level of INTx. Locks are not carried: they follow from the rest, by `takeLocks`. What else the device is, its work in flight above all, is the payload.
 *
 * What the framework carries is laid out the same on both sides: a release that changes a type's registers gives it a new id (`dsa-cfg-v2`). `version`
 * and `accepts` are about the payload only. An attribute that a stream does not name has its default.
 *
 * Only `save` may give a promise. One from another function is refused with EIO, and one from `restore` or `takeLocks` puts the instance into `failed` as well.
 *
 * The destination is an instance of the same type with the same attributes; whoever migrates gives it guest memory and eventfds.
 */
export interface MigrationBehaviour {
  /** Of the payload's format, 0 to 2^53 - 1. */
  readonly version: number;
  /**
   * Bytes of payload that are taken, 0 to 2^53 - 1, those of `preCopy` included; 16 MiB when absent. A stream that has more is refused, so it bounds what a client can
   * make this process allocate.
   */
  readonly maximumSize?: number;
  /**
   * What else has to be the same on both sides and is not seen in type, attributes and constant registers: at most 16 KiB. Nothing when absent.
   */
  compatibility?(): Uint8Array;
  /**
   * Looks at another device's version and compatibility bytes before anything is taken. Both have to be equal when absent.
   * @throws `MdevError` `EINVAL` that names what differs.
   */
  accepts?(version: number, compatibility: Uint8Array): void;
  /**
   * The payload. Called after `quiesce`, which is in force until `resume`, also of a frozen instance, which `stop` has ended the work of; a promise
   * has to settle within what `quiesce` left of the platform's `answersWithin`. What it
   * throws is told to the client as EIO, and the device stays stopped, or goes on if it ran.
   */
  save(): Uint8Array | Promise<Uint8Array>;
  /** About how many bytes `save` would give now, for who estimates how long the device will stand still; 0 when absent. */
  estimate?(): number;
  /**
   * Takes a payload. Called after `quiesce`, once the framework's part is in place; `resume` follows sometime. If it is that of a frozen instance, `stop`
   * comes in between, and a reset later.
   *
   * The bytes come from a client: whatever they are, it ends in bounded time and writes nothing out of bounds.
   * So do registers and staged bytes, which have been put as they came: only `constant` fields are known to be as they were. Where somebody else than the
   * guest depends on them, `restore` refuses what no guest could have brought about. Locks are released.
   * @param early what `preCopy` gave on the other side; empty when it was not asked.
   * @param version of the payload, one that `accepts` has taken.
   * @throws anything when the payload is refused: then the device is as it was, and so is the framework's part again. The client is told EINVAL.
   */
  restore(payload: Uint8Array, early: Uint8Array, version: number): void;
  /**
   * Takes the locks that the registers' values, and what `restore` was given, ask for: called after it, when all are released. What a stream says of locks
   * counts for nothing, because a client could lock with it what its device lets a guest write, and the other way round. Without it an instance whose regions declare
   * locks is refused when it is made.
   * It must not throw: that puts the instance into `failed`.
   */
  takeLocks?(): void;
  /** Bytes that may travel while the device runs, because they do not change. Asked once for a migration, if its client asks for that phase. */
  preCopy?(): Uint8Array;
}

/** {@link MigrationBehaviour.maximumSize} when absent, bytes. */
export const DEFAULT_PAYLOAD_MAX = 16 * 1024 * 1024;
/** Most bytes of {@link MigrationBehaviour.compatibility}. */
export const COMPATIBILITY_MAX = 16 * 1024;
