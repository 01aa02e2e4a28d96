/** Turns the answers of the native half, and what else is thrown, into a session's errors. */
import { constants } from 'node:os';

import { errnoOfError } from '../../native/errno.ts';
import { VfioError } from '../vfio/vfio-error.ts';

const { EIO } = constants.errno;

/** @throws {@link VfioError} unless `errno` is 0. */
export function check(request: string, errno: number): void {
  if (errno !== 0) refuse(request, errno);
}

/** @throws {@link VfioError} always. */
export function refuse(request: string, errno: number): never {
  throw VfioError.refused(request, errno);
}

/** Runs what throws other errors. */
export function failing<T>(request: string | undefined, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw VfioError.from(error, request);
  }
}

/** Runs what duplicates descriptors, which throws an Error with a `code` when one is none, and checks its answer. */
export function checkWithFds(request: string, action: () => number): void {
  let errno: number;
  try {
    errno = action();
  } catch (error) {
    throw new VfioError(errnoOfError(error, EIO), `${request}: ${String(error)}`, request, { cause: error });
  }
  check(request, errno);
}
