import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** How long the server may take to say that it is ready, and to end after SIGTERM, in milliseconds. */
const PATIENCE = 15_000;

/** The command under test: the build of this tree, or what MDEV_COMMAND names (an installed `mdev`). */
const command = process.env['MDEV_COMMAND']?.split(' ') ?? [
  process.execPath,
  resolve(import.meta.dirname, '../../../dist/cli/main.js'),
];

/** What to serve. */
export interface ServerOptions {
  /** The mdev type, such as `dsa-cfg-v1`. */
  readonly type: string;
  /** Attributes of the instance, as `--set NAME=VALUE` takes them. */
  readonly set?: Readonly<Record<string, string | number>>;
  /** Switches of the platform, as `--platform NAME=VALUE` takes them. */
  readonly platform?: Readonly<Record<string, string | number>>;
}

/** A server of one device. */
export interface Server extends AsyncDisposable {
  /** QEMU's `-device` argument. */
  readonly deviceArgument: string;
  /** What there is to know when a test has failed. */
  diagnostics(): string;
  /** Whether it still serves. */
  isRunning(): boolean;
  /** Ends it as an operator would; throws unless that goes well. */
  stop(): Promise<void>;
  /** Ends it whatever its state. For cleaning up. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server in a process of its own. */
interface ServerProcess extends Server {
  /** Waits for its end without asking for it; throws unless that goes well. */
  ended(): Promise<void>;
}

/** A device for a guest. */
export interface GuestDevice {
  /** QEMU's name of the bus that it is plugged into; the root when absent. */
  readonly bus?: string;
  /** Serves a new instance. */
  start(): Promise<Server>;
}

/** A device that `mdev serve` serves. */
export function mdevDevice({ bus, ...options }: ServerOptions & Pick<GuestDevice, 'bus'>): GuestDevice {
  return { ...(bus === undefined ? {} : { bus }), start: () => startServer(options) };
}

/** A device whose server can be replaced by another process, while a guest uses it. */
export interface ReplaceableDevice extends GuestDevice {
  /** Starts a successor; resolves when it serves and the one before has ended well. */
  replace(): Promise<void>;
}

/** A device that `mdev serve --handover` serves. */
export function replaceableDevice(options: ServerOptions): ReplaceableDevice {
  let current: ServerProcess | undefined;
  let folder = '';
  const servers: ServerProcess[] = [];
  const launch = async (): Promise<ServerProcess> => {
    const server = await startServer(options, folder);
    servers.push(server);
    return server;
  };
  return {
    async start() {
      folder = await mkdtemp(join(tmpdir(), 'mdev-serve-'));
      const first = await launch();
      current = first;
      return {
        deviceArgument: first.deviceArgument,
        diagnostics: () => servers.map((server) => server.diagnostics()).join(''),
        isRunning: () => current?.isRunning() === true,
        async stop() {
          await current?.stop();
        },
        async [Symbol.asyncDispose]() {
          for (const server of servers) await server[Symbol.asyncDispose]();
          await rm(folder, { recursive: true, force: true });
        },
      };
    },
    async replace() {
      const before = current;
      current = await launch();
      await before?.ended();
    },
  };
}

/** Runs `mdev` with arguments to its end and returns its standard output. Throws when it fails or takes too long. */
export async function runMdev(...args: string[]): Promise<string> {
  const [program = '', ...prefix] = command;
  const { stdout } = await promisify(execFile)(program, [...prefix, ...args], {
    timeout: PATIENCE,
    maxBuffer: 16 * 2 ** 20,
  });
  return stdout;
}

/**
 * Starts `mdev serve` on a socket of its own and waits for its ready line. Ends with SIGTERM and exit code 0.
 * @param shared A folder of the caller's, in which it takes over from who serves already.
 */
async function startServer(options: ServerOptions, shared?: string): Promise<ServerProcess> {
  const folder = shared ?? (await mkdtemp(join(tmpdir(), 'mdev-serve-')));
  const handover = shared === undefined ? [] : ['--handover', join(folder, 'handover')];
  const attributes = Object.entries(options.set ?? {}).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const platform = Object.entries(options.platform ?? {}).flatMap(([name, value]) => [
    '--platform',
    `${name}=${value}`,
  ]);
  const [program = '', ...prefix] = command;
  const child = spawn(
    program,
    [
      ...prefix,
      'serve',
      '--type',
      options.type,
      '--socket-path',
      join(folder, 'socket'),
      ...attributes,
      ...platform,
      ...handover,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let diagnostics = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (diagnostics += chunk));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  ended.catch(() => undefined);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined;

  async function dispose(): Promise<void> {
    if (isRunning()) {
      child.kill('SIGKILL');
      await ended;
      child.stdout.destroy();
      child.stderr.destroy();
    }
    if (shared === undefined) await rm(folder, { recursive: true, force: true });
  }

  /** Throws unless it ends with 0. */
  async function end(when: string): Promise<void> {
    const [code, signal] = await within(ended, `end ${when}`);
    if (code !== 0) throw new Error(`the server ended with ${String(signal ?? code)} ${when}:\n${diagnostics}`);
    await dispose();
  }

  try {
    return {
      deviceArgument: await readyDevice(),
      diagnostics: () => diagnostics,
      isRunning,
      async stop() {
        child.kill('SIGTERM');
        await end('after SIGTERM');
      },
      ended: () => end('when another one had taken over'),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }

  /** Resolves with the `-device` argument of the first line on standard output. */
  async function readyDevice(): Promise<string> {
    const lines = createInterface({ input: child.stdout });
    const [line] = await within(
      Promise.race([
        once(lines, 'line') as Promise<[string]>,
        ended.then(([code]): never => {
          throw new Error(`it ended with ${String(code)} before it was ready:\n${diagnostics}`);
        }),
      ]),
      'say that it is ready',
    );
    const argument = /-device '([^']+)'/.exec(line)?.[1];
    if (argument === undefined) throw new Error(`no -device argument in the ready line: ${line}`);
    return argument;
  }

  /** Rejects when the promise takes longer than the server may. */
  async function within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`the server did not ${what} within ${PATIENCE} ms:\n${diagnostics}`));
      }, PATIENCE);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
