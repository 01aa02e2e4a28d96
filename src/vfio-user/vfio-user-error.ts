import { errnoName } from './errno.ts';
import { commandName } from './protocol.ts';

/** The other side answered a request with an error, or the connection ended before it answered. */
export class VfioUserError extends Error {
  override readonly name = 'VfioUserError';
  /** The errno's name ("EINVAL"); ECONNRESET when the connection ended. */
  readonly code: string;
  /** The command of the request, undefined when it was none. */
  readonly command: number | undefined;

  constructor(code: string, message: string, command?: number) {
    super(message);
    this.code = code;
    this.command = command;
  }

  /** An error reply. */
  static fromReply(command: number, errno: number): VfioUserError {
    const code = errnoName(errno);
    return new VfioUserError(code, `${commandName(command)} was refused with ${code}`, command);
  }

  /** A reply that does not fit its request. */
  static badReply(command: number, problem: string): VfioUserError {
    return new VfioUserError('EPROTO', `the reply to ${commandName(command)} ${problem}`, command);
  }

  /** The connection ended. */
  static disconnected(reason: string, command?: number): VfioUserError {
    const what = command === undefined ? '' : `${commandName(command)}: `;
    return new VfioUserError('ECONNRESET', `${what}the connection ended: ${reason}`, command);
  }
}
