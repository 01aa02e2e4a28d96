import { readFileSync } from 'node:fs';

import { Command, Option } from 'commander';

import { ExitCode } from './exit-code.ts';
import { parseFd } from './fd-option.ts';
import { collectSet, type SetValues } from './set-option.ts';
import type { DescribeOptions } from './commands/describe.ts';
import type { PlatformsOptions } from './commands/platforms.ts';
import type { ServeOptions } from './commands/serve.ts';
import type { TypesOptions } from './commands/types.ts';

const NO_VALUES: SetValues = {};

const EXIT_CODES = 'Exit codes: 0 done, 1 failed, 2 the command line is wrong.';

const PROGRAM_HELP = `
Examples:
  mdev types
  mdev describe --type dsa-cfg-v1
  mdev serve --type dsa-1dwq-v1 --socket-path /run/dsa.sock

${EXIT_CODES}`;

const SERVE_HELP = `
Stays in the foreground and serves one client after another. When clients can come, it prints one line with the arguments for
QEMU and Cloud Hypervisor. Clients' coming and going and failures are told on standard error. SIGTERM and SIGINT end it.
--fd takes a UNIX stream socket: one that listens is served as a path is, one that is connected until its client is gone.

--write-multiple is for other clients than QEMU, which (up to 11.1 at least) offers such messages and delays its writes when they
are accepted. Clients that do not offer them notice nothing.

Upgrade under a running guest: start with --handover PATH, and start the same command line again with the new version. It takes
over clients, memory, interrupts and work in flight; the old one ends with 0, and if anything goes wrong it goes on instead.
--save-on-exit and --restore are for clients that connect again; --restore may name the --save-on-exit file before it exists.

Examples:
  mdev serve --type dsa-1dwq-v1 --socket-path /run/dsa.sock
  mdev serve --type dsa-1dwq-v1 --socket-path /run/dsa.sock --handover /run/dsa.handover
  mdev serve --type dsa-cfg-v1 --set queues=2 --set engines=1 --socket-path /run/dsa.sock --json
  mdev serve --type dsa-1dwq-v1 --platform reportErrors=true --platform answersWithin=2000 --socket-path /run/dsa.sock
  systemd-socket-activate -l /run/dsa.sock mdev serve --type dsa-cfg-v1 --fd 3

${EXIT_CODES}`;

const TYPES_HELP = `
Examples:
  mdev types
  mdev types --json

${EXIT_CODES}`;

const PLATFORMS_HELP = `
What the platform that consumes an instance does itself, and what it leaves to the device. Defaults suit QEMU on x86.

Examples:
  mdev platforms
  mdev platforms --json
  mdev serve --type dsa-1dwq-v1 --platform enforceBusMaster=false --socket-path /run/dsa.sock

${EXIT_CODES}`;

const DESCRIBE_HELP = `
Values are those after a reset. Nothing is created.

Examples:
  mdev describe --type dsa-cfg-v1 --set queues=2
  mdev describe --type dsa-cfg-v1 --json
  mdev describe --type dsa-cfg-v1 --dump > dump && lspci -F dump -vvv

${EXIT_CODES}`;

/**
 * The `mdev` command. Parsing throws what a command throws, and a CommanderError for a command line that commander refuses.
 *
 * Commands are loaded when they run: they need the native addon, help and version do not.
 *
 * @param ended - gets the exit code of a command that came to its end
 */
export function createProgram(ended: (exitCode: ExitCode) => void): Command {
  const program = new Command('mdev')
    .description('Mediated devices in user space, served over vfio-user')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', PROGRAM_HELP)
    .exitOverride()
    // The caller prints errors, as one line.
    .configureOutput({ writeErr: () => undefined });

  withType(program.command('serve'), 'instance')
    .description('create an instance and serve it to a VMM')
    .option('--socket-path <path>', 'serve at a new UNIX socket (at most 107 bytes)')
    .addOption(
      new Option('--fd <n>', 'serve on an inherited socket instead').argParser(parseFd).conflicts('socketPath'),
    )
    .option('--uuid <uuid>', "the instance's UUID; random when absent")
    .option(
      '--platform <NAME=VALUE>',
      'switch of the platform (see "mdev platforms"); may be repeated',
      collectSet,
      NO_VALUES,
    )
    .option('--json', 'print the ready line as JSON')
    .option('--write-multiple', 'accept many small writes in one message (see below)')
    .option('--handover <path>', 'take over from the server that listens there, and listen there for a successor')
    .option('--save-on-exit <file>', "write the instance's state to a file when the command ends")
    .option('--restore <file>', 'begin with the state of a file, which is removed then')
    .addHelpText('after', SERVE_HELP)
    .action(async (options: ServeOptions) => {
      const { serveInstance } = await import('./commands/serve.ts');
      ended(await serveInstance(options));
    });

  program
    .command('types')
    .description('list parent devices and their types')
    .option('--json', "print JSON in mdevctl's layout")
    .addHelpText('after', TYPES_HELP)
    .action(async (options: TypesOptions) => {
      const { listTypes } = await import('./commands/types.ts');
      listTypes(options);
      ended(ExitCode.success);
    });

  program
    .command('platforms')
    .description('list the switches that "mdev serve --platform" takes')
    .option('--json', 'print JSON')
    .addHelpText('after', PLATFORMS_HELP)
    .action(async (options: PlatformsOptions) => {
      const { listPlatformSwitches } = await import('./commands/platforms.ts');
      listPlatformSwitches(options);
      ended(ExitCode.success);
    });

  withType(program.command('describe'), 'type')
    .description('print config space, BARs, capabilities and registers of a type')
    .addOption(new Option('--json', 'print config space as JSON').conflicts('dump'))
    .option('--dump', 'print config space as "lspci -F" reads it')
    .addHelpText('after', DESCRIBE_HELP)
    .action(async (options: DescribeOptions) => {
      const { describeType } = await import('./commands/describe.ts');
      describeType(options);
      ended(ExitCode.success);
    });

  return program;
}

/** Options that select a type. */
function withType(command: Command, what: string): Command {
  return command
    .requiredOption('--type <type>', 'mdev type, such as dsa-cfg-v1 or idxd-dsa-cfg-v1 (see "mdev types")')
    .option('--parent <name>', 'parent device; the first that has the type when absent')
    .option('--set <NAME=VALUE>', `attribute of the ${what}; may be repeated`, collectSet, NO_VALUES);
}

function packageVersion(): string {
  // src/cli and dist/cli lie equally deep below the package.
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
