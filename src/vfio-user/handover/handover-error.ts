/** Why a handover did not come about: an errno's name, as far as one fits. */
export type HandoverErrorCode =
  /** One of the two does not fit to the other: type, attributes, version, or a device that cannot be moved. */
  | 'EINVAL'
  /** Not now: another handover is under way, or a migration. */
  | 'EBUSY'
  /** The other side did not answer in time. */
  | 'ETIMEDOUT'
  /** The other side has ended, or called it off; or a client has left meanwhile. */
  | 'ECANCELED'
  /** The other side is another user's. */
  | 'EACCES'
  /** The other side broke the rules, or a part could not be put in place. */
  | 'EIO';

/** A handover did not come about. The server that was to be replaced goes on as before; the message says why. */
export class HandoverError extends Error {
  override readonly name = 'HandoverError';
  readonly code: HandoverErrorCode;

  constructor(code: HandoverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
