#!/usr/bin/env node
import { ExitCode } from './exit-code.ts';
import { failureOf } from './failure.ts';
import { outliveReaders, tell } from './messages.ts';
import { createProgram } from './program.ts';

/** How long the process may take to end after its command has ended, in milliseconds. */
const LINGER_MS = 5_000;

outliveReaders();
process.exitCode = await run(process.argv.slice(2));
setTimeout(() => {
  tell(`something is still open ${LINGER_MS / 1000} s after the end`);
  process.exit(ExitCode.failure);
}, LINGER_MS).unref();

async function run(words: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.success;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    const command = program.commands.find((candidate) => candidate.name() === words[0]);
    const failure = failureOf(error, command === undefined ? 'mdev' : `mdev ${command.name()}`);
    if (failure.message !== '') tell(failure.message);
    return failure.exitCode;
  }
}
