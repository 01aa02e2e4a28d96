/**
 * The errno names that {@link MdevError} carries, each in the meaning that the kernel's mdev and VFIO code, or its sockets, give it.
 */
export type MdevErrorCode =
  /** What is to be made or opened at a path may not be. */
  | 'EACCES'
  /** Somebody answers at a socket's path, or what is there is no socket. */
  | 'EADDRINUSE'
  /** Being created or removed: try again. */
  | 'EAGAIN'
  /** No open file descriptor. */
  | 'EBADF'
  /** Held by somebody else. */
  | 'EBUSY'
  /** Cut off by a reset, a detached client, a closed instance, or a parent that is unregistered. */
  | 'ECANCELED'
  /** The UUID is taken, on whatever parent; the PASID is allocated already. */
  | 'EEXIST'
  /** Guest memory is not mapped, lacks the right, or bus master is off. */
  | 'EFAULT'
  /** A value that cannot be. */
  | 'EINVAL'
  /** The instance is frozen or failed. */
  | 'EIO'
  /** A socket's path is longer than a UNIX socket's may be. */
  | 'ENAMETOOLONG'
  /** No such parent, type or instance. */
  | 'ENODEV'
  /** No such PASID, page request or address space of a PASID; or a path's directory does not exist. */
  | 'ENOENT'
  /** All PASIDs are allocated. */
  | 'ENOSPC'
  /** A socket neither listens nor is connected. */
  | 'ENOTCONN'
  /** A path leads through what is no directory. */
  | 'ENOTDIR'
  /** The instance has no such function. */
  | 'ENOTTY'
  /** The type has not declared what was asked for. */
  | 'EOPNOTSUPP'
  /** A vendor's device did not do in time what it was told. */
  | 'ETIMEDOUT'
  /** No instance of the type is available (the kernel says this, not ENOSPC). */
  | 'EUSERS';

/**
 * An operator's, a client's or a vendor's mistake, or a state that forbids what was asked. The message names the thing
 * and the value.
 */
export class MdevError extends Error {
  override readonly name = 'MdevError';
  /** The kernel's errno name. */
  readonly code: MdevErrorCode;

  constructor(code: MdevErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
