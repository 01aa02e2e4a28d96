import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { readAllowLists, unexpectedLines } from './kernel-log.ts';
import { parseParts } from './parts.ts';
import type { GuestDevice, Server } from './server.ts';

const kit = resolve(import.meta.dirname, '..');

/** How to boot the guest and what to run in it. */
export interface GuestOptions {
  /** The devices it gets, each with a server of its own, in the order of their places on the bus. */
  readonly devices?: readonly GuestDevice[];
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
  /** Further arguments of QEMU, before the devices. */
  readonly qemuArguments?: readonly string[];
  /** More of the kernel's command line. */
  readonly append?: string;
  /** Lists of test/guest/allow that hold in this scenario beside `common`. */
  readonly allow?: readonly string[];
  /** QEMU's trace events to be counted. */
  readonly trace?: readonly string[];
  /** Called when a part of the guest's output begins. */
  readonly onPart?: (name: string) => void;
  /** Seconds until the run is given up (default 150). */
  readonly timeout?: number;
}

/** What a guest that ran to its end has said. */
export interface GuestResult {
  /** The lines of the only part with this name; throws when there is none or more than one. */
  part(name: string): readonly string[];
  /** The lines of every part with this name, in order. */
  parts(name: string): (readonly string[])[];
  /** How often QEMU traced this event, which must be one of `trace`. */
  traced(event: string): number;
  /** What QEMU traced of these events, which must be of `trace`, in its order: a line for each, with the event's name first. */
  traceOf(...events: readonly string[]): readonly string[];
}

/**
 * Serves the devices, boots the guest with them, runs the script and stops the servers.
 *
 * Throws, with all that helps to see why, unless all of this holds: QEMU ends by itself, the script succeeds on every
 * boot, no kernel line is unexpected (see kernel-log.ts), and every server outlives the guest and ends cleanly when asked.
 */
export async function bootGuest(options: GuestOptions): Promise<GuestResult> {
  const scratch = await mkdtemp(join(tmpdir(), 'mdev-guest-'));
  const servers: Server[] = [];
  try {
    for (const device of options.devices ?? []) servers.push(await device.start());
    const { code, output, diagnostics, console, trace } = await run(options, scratch, servers);
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
    const allowed = readAllowLists(['common', ...(options.allow ?? [])]);
    problems.push(
      ...named('dmesg').flatMap((log) => unexpectedLines(log, allowed).map((line) => `unexpected: ${line}`)),
    );
    if (!servers.every((server) => server.isRunning())) problems.push('a server did not outlive the guest');
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
          console,
          '--- QEMU',
          diagnostics,
          ...servers.flatMap((server) => ['--- server', server.diagnostics()]),
        ].join('\n'),
      );
    }
    for (const server of servers) await server.stop();
    const traceOf = (...events: readonly string[]): readonly string[] => {
      for (const event of events) {
        if (options.trace?.includes(event) !== true) throw new Error(`QEMU was not asked to trace ${event}`);
      }
      return trace.filter((line) => events.some((event) => line.startsWith(`${event} `)));
    };

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
      traced: (event) => traceOf(event).length,
      traceOf,
    };
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** How a run of guest-run ended, and what was written meanwhile. */
interface Run {
  readonly code: number | null;
  /** The guest's. */
  readonly output: string;
  /** QEMU's standard error. */
  readonly diagnostics: string;
  readonly console: string;
  /** QEMU's trace, a line for each event. */
  readonly trace: readonly string[];
}

/** Runs guest-run to its end. */
async function run(options: GuestOptions, scratch: string, servers: readonly Server[]): Promise<Run> {
  const console = join(scratch, 'console');
  const trace = join(scratch, 'trace');
  const args = ['--console', console, '--timeout', String(options.timeout ?? 150)];
  if (options.memory !== undefined) args.push('--memory', options.memory);
  if (options.share === false) args.push('--no-share');
  if (options.reboot === true) args.push('--reboot');
  if (options.append !== undefined) args.push('--append', options.append);
  for (const [name, value] of Object.entries(options.env ?? {})) args.push('--env', `${name}=${value}`);
  args.push(join(kit, 'scripts', options.script), '--', ...(options.qemuArguments ?? []));
  for (const event of options.trace ?? []) args.push('-trace', event);
  if (options.trace !== undefined) args.push('-D', trace);
  servers.forEach((server, index) => {
    args.push('-device', placed(server.deviceArgument, options.devices?.[index]?.bus));
  });

  const child = spawn(join(kit, 'guest-run'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let diagnostics = '';
  let told = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    // Whole lines only.
    for (let end = output.indexOf('\n', told); end >= 0; end = output.indexOf('\n', told)) {
      const line = output.slice(told, end).replaceAll('\r', '');
      told = end + 1;
      if (line.startsWith('@@ ')) options.onPart?.(line.slice(3));
    }
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (diagnostics += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  const written = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
  return { code, output, diagnostics, console: await written(console), trace: (await written(trace)).split('\n') };
}

/** QEMU's `-device` argument for a device that is plugged into a bus other than the root. */
function placed(deviceArgument: string, bus: string | undefined): string {
  if (bus === undefined) return deviceArgument;
  return JSON.stringify({ ...(JSON.parse(deviceArgument) as object), bus });
}
