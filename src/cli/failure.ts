import { CommanderError } from 'commander';

import { messageOf } from '../mdev/base/message-of.ts';
import { ExitCode } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

/** How a command that threw ends. */
export interface Failure {
  /** One line; empty when there is nothing to say. */
  readonly message: string;
  readonly exitCode: ExitCode;
}

const SERVE = 'mdev serve';

/** What to do about errors of `mdev serve` that have a code. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  EACCES: 'choose a --socket-path in a directory that you may write to',
  EADDRINUSE: 'stop what serves there, or choose another --socket-path',
  EBADF: 'pass a UNIX stream socket that the command inherits',
  ENAMETOOLONG: 'choose a shorter --socket-path',
  ENOENT: 'create its directory first',
  ENOTDIR: 'choose a --socket-path in a directory',
  ENOTSOCK: 'pass a UNIX stream socket',
  EUSERS: 'ask for less with --set; "mdev types" shows what there is',
};

/** @param command - what to ask for help about, such as `mdev serve` */
export function failureOf(error: unknown, command: string): Failure {
  const help = `see "${command} --help"`;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { message: '', exitCode: ExitCode.success };
    if (error.code === 'commander.help') return { message: `a command is needed; ${help}`, exitCode: ExitCode.usage };
    return { message: `${commanderText(error.message)}; ${help}`, exitCode: ExitCode.usage };
  }
  if (error instanceof UsageError) {
    return { message: `${error.message}; ${error.nextStep ?? help}`, exitCode: ExitCode.usage };
  }
  const text = messageOf(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const step = command === SERVE && Object.hasOwn(NEXT_STEPS, code) ? NEXT_STEPS[code] : undefined;
  return { message: step === undefined ? text : `${text}; ${step}`, exitCode: ExitCode.failure };
}

/** `error: unknown option '--typ'\n(Did you mean --type?)` without the first word and on one line. */
function commanderText(text: string): string {
  return text
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?')
    .replace(/\.$/, '');
}
