import { errnoName, errnoOf, errnoOfError } from '../../native/errno.ts';
import { messageOf } from '../base/message-of.ts';
import { MdevError } from '../errors/mdev-error.ts';

/**
 * Why a request to a {@link VfioDevice} failed, whichever way the device is reached: the device refused it, the request could not be made, or the
 * way to the device has ended.
 *
 * | code           | when nothing else is said                                                      |
 * | -------------- | ------------------------------------------------------------------------------ |
 * | `ECONNRESET`   | the connection to a server ended                                               |
 * | `ENODEV`       | the session in this process was closed, or its instance taken away             |
 * | `EPROTO`       | a server's reply cannot be understood                                          |
 * | `EINVAL`, …    | the device's own answer, or an argument that no request can carry              |
 */
export class VfioError extends Error {
  override readonly name = 'VfioError';
  /** The errno's name ("EINVAL"), or "errno 4095" for a number that has none. */
  readonly code: string;
  /** The errno of Linux; 0 when `code` is the name of none. */
  readonly errno: number;
  /** The request as the vfio-user protocol names it ("regionRead"); undefined when it was none. */
  readonly request: string | undefined;

  /** @param errno number or name */
  constructor(errno: number | string, message: string, request?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = typeof errno === 'number' ? errnoName(errno) : errno;
    this.errno = typeof errno === 'number' ? errno : (errnoOf(errno) ?? 0);
    this.request = request;
  }

  /** The device answered with an errno. */
  static refused(request: string, errno: number): VfioError {
    return new VfioError(errno, `${request} was refused with ${errnoName(errno)}`, request);
  }

  /** An argument that no request can carry. */
  static badArgument(request: string, problem: string): VfioError {
    return new VfioError('EINVAL', `${request}: ${problem}`, request);
  }

  /** What an instance threw: a {@link MdevError} has the device's answer. Anything else is a fault of its code, whatever `code` it has: `EIO`. */
  static from(error: unknown, request?: string): VfioError {
    if (error instanceof VfioError) return error;
    return new VfioError(error instanceof MdevError ? error.code : 'EIO', messageOf(error), request, { cause: error });
  }

  /** What a call of the operating system threw: an Error with the errno's name as `code`. */
  static ofSystem(error: unknown, request?: string): VfioError {
    if (error instanceof VfioError) return error;
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
    return new VfioError(errnoOfError(error, 0) || code, messageOf(error), request, { cause: error });
  }
}
