import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { readAllowList, unexpectedLines } from './kernel-log.ts';
import { parseParts } from './parts.ts';
import type { ServerOptions } from './server.ts';
import { startServer } from './server.ts';

const kit = resolve(import.meta.dirname, '..');

/** How to boot the guest and what to run in it. */
export interface GuestOptions {
  /** The device it gets; none when absent. */
  readonly server?: ServerOptions;
  /** A script of test/guest/scripts, by name. */
  readonly script: string;
  /** Variables for the script. */
  readonly env?: Readonly<Record<string, string | number>>;
  /** Whether the server can map the guest's memory (default true). */
  readonly share?: boolean;
  /** Whether the guest may reboot (default false: a reboot ends the run). */
  readonly reboot?: boolean;
  /** Guest memory as QEMU spells it (default 1G). */
  readonly memory?: string;
  /** Further arguments of QEMU. */
  readonly qemuArguments?: readonly string[];
  /** Seconds until the run is given up (default 150). */
  readonly timeout?: number;
}

/** What a guest that ran to its end has said. */
export interface GuestResult {
  /** The lines of the only part with this name; throws when there is none or more than one. */
  part(name: string): readonly string[];
  /** The lines of every part with this name, in order. */
  parts(name: string): (readonly string[])[];
}

/**
 * Serves a device, boots the guest with it, runs the script and stops the server.
 *
 * Throws, with all that helps to see why, unless all of this holds: QEMU ends by itself, the script succeeds on every
 * boot, no kernel line is unexpected (see kernel-log.ts), and the server outlives the guest and ends cleanly when asked.
 */
export async function bootGuest(options: GuestOptions): Promise<GuestResult> {
  await using server = options.server === undefined ? undefined : await startServer(options.server);
  const scratch = await mkdtemp(join(tmpdir(), 'mdev-guest-'));
  try {
    const console = join(scratch, 'console');
    const { code, output, diagnostics } = await run(options, console, server?.deviceArgument);
    const parts = parseParts(output);
    const named = (name: string): (readonly string[])[] =>
      parts.filter((part) => part.name === name).map((part) => part.lines);

    const problems: string[] = [];
    if (code !== 0) problems.push(`QEMU ended with ${String(code)}${code === 124 ? ' (timeout)' : ''}`);
    if (named('end').length === 0) problems.push('the guest did not reach its end');
    if (named('end').length !== named('boot').length) problems.push('the guest did not reach the end of every boot');
    for (const status of named('end')) {
      if (status[0] !== '0') problems.push(`the script ended with ${status.join(' ')}`);
    }
    const allowed = readAllowList();
    problems.push(
      ...named('dmesg').flatMap((log) => unexpectedLines(log, allowed).map((line) => `unexpected: ${line}`)),
    );
    if (server?.isRunning() === false) problems.push('the server did not outlive the guest');
    if (problems.length > 0) {
      const seen = parts.map(
        ({ name, lines }) => `@@ ${name}\n${(name === 'dmesg' ? lines.slice(-40) : lines).join('\n')}`,
      );
      throw new Error(
        [
          ...problems,
          '--- guest',
          ...seen,
          '--- console',
          await readFile(console, 'utf8').catch(() => ''),
          '--- QEMU',
          diagnostics,
          '--- server',
          server?.diagnostics() ?? '',
        ].join('\n'),
      );
    }
    await server?.stop();

    return {
      parts: named,
      part(name) {
        const [lines, ...more] = named(name);
        if (lines === undefined || more.length > 0) {
          throw new Error(
            `expected one part "${name}" from the guest, found ${lines === undefined ? 0 : more.length + 1}`,
          );
        }
        return lines;
      },
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Runs guest-run to its end. */
async function run(
  options: GuestOptions,
  console: string,
  deviceArgument: string | undefined,
): Promise<{ code: number | null; output: string; diagnostics: string }> {
  const args = ['--console', console, '--timeout', String(options.timeout ?? 150)];
  if (options.memory !== undefined) args.push('--memory', options.memory);
  if (options.share === false) args.push('--no-share');
  if (options.reboot === true) args.push('--reboot');
  for (const [name, value] of Object.entries(options.env ?? {})) args.push('--env', `${name}=${value}`);
  args.push(join(kit, 'scripts', options.script), '--');
  if (deviceArgument !== undefined) args.push('-device', deviceArgument);
  args.push(...(options.qemuArguments ?? []));

  const child = spawn(join(kit, 'guest-run'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let diagnostics = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (diagnostics += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, diagnostics };
}
