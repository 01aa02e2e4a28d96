import { MdevError, VfioError } from '../../../mdev/index.ts';
import { errnoOf, errnoOfError } from '../../../native/errno.ts';
import type { NativeConnection } from '../../native.ts';

/**
 * The errno that a device refuses a request with by throwing an {@link MdevError} or a {@link VfioError}. Undefined for anything else, whatever `code`
 * it has: an ENOENT of a device's own file is no answer to its client.
 */
export function refusalOf(error: unknown): number | undefined {
  return error instanceof MdevError || error instanceof VfioError ? errnoOf(error.code) : undefined;
}

/** Answers with file descriptors. Returns undefined, or the errno when they could not be duplicated: nothing was answered then. */
export function answerWithFds(native: NativeConnection, body: Uint8Array, fds: readonly number[]): number | undefined {
  return unlessRefused(() => {
    native.answer(body, fds);
    return undefined;
  });
}

/** What `action`, a call of the operating system alone, returns, or the errno that it fails with. */
export function unlessRefused<T>(action: () => T): T | number {
  try {
    return action();
  } catch (error) {
    const errno = errnoOfError(error, 0);
    if (errno === 0) throw error;
    return errno;
  }
}
