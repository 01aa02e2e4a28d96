#!/usr/bin/env node
import { Command, Option } from 'commander';

import { OPERATION_NAMES } from './demo/operation-names.ts';
import type { DemoOptions } from './demo/host.ts';
import { ExitCode } from './exit-code.ts';
import { failureOf } from './failure.ts';
import { outliveReaders, tell } from './messages.ts';

const HELP = `
Creates an instance of the type and serves it at a socket. A second process uses it there as a VMM and its guest would: it finds
config space, BARs and capabilities, enables device and queue, and runs operations through the portal. Each operation's
completion record, all of memory, and its interrupt are checked.

Examples:
  npm start
  npm start -- --type dsa-1dwq-v1
  npm start -- --corrupt crc     must end with 1

Exit codes: 0 everything is as expected, 1 something is not, 2 the command line is wrong.`;

outliveReaders();
process.exitCode = await run(process.argv.slice(2));

async function run(words: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.success;
  const program = new Command('npm start --')
    .description('Shows a mediated DSA at work, without a VMM')
    .option('--type <type>', 'dsa-cfg-v1, which the second process configures, or dsa-1dwq-v1', 'dsa-cfg-v1')
    .addOption(
      new Option('--corrupt <operation>', 'flip one bit of its memory, to see that the checks notice').choices(
        OPERATION_NAMES,
      ),
    )
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(async (options: DemoOptions) => {
      // Behind the command line: it needs the native addon, help does not.
      const { runDemo } = await import('./demo/host.ts');
      exitCode = await runDemo(options);
    });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    const failure = failureOf(error, 'npm start --');
    if (failure.message !== '') tell(failure.message);
    return failure.exitCode;
  }
}
