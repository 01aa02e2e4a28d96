import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

import { distProgram } from './dist.ts';

/** What a program did. */
export interface Outcome {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longest life of a program, milliseconds; then it is killed and its outcome has no code. */
const LIFE = 60_000;

/** Runs a program of dist to its end. */
export async function run(name: string, ...words: readonly string[]): Promise<Outcome> {
  return await (
    await start(name, words)
  ).ended;
}

/** Runs `mdev` to its end. */
export async function mdev(...words: readonly string[]): Promise<Outcome> {
  return await run('cli/main.js', ...words);
}

/** A program that runs. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The next line of standard output. Rejects when the program ends before. */
  line(): Promise<string>;
  /** Resolves when standard error has text that matches. Rejects when the program ends before. */
  told(pattern: RegExp): Promise<string>;
  readonly ended: Promise<Outcome>;
}

/** How a program is started. */
export interface StartOptions {
  /** Descriptors that it inherits as 3 and following. */
  readonly sockets?: readonly number[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a program of dist. Disposing kills it if it still runs. */
export async function start(name: string, words: readonly string[], options: StartOptions = {}): Promise<Running> {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(options.sockets ?? [])];
  const child = spawn(process.execPath, [await distProgram(name), ...words], {
    stdio,
    env: { ...process.env, ...options.environment },
    timeout: LIFE,
    killSignal: 'SIGKILL',
  });
  const { stderr, stdout } = child;
  if (stderr === null || stdout === null) throw new Error('no pipes');
  let out = '';
  let err = '';
  stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece));
  stderr.setEncoding('utf8').on('data', (piece: string) => (err += piece));
  const lines: Interface = createInterface({ input: stdout });
  const iterator = lines[Symbol.asyncIterator]();
  const ended = once(child, 'close').then(([code]: unknown[]) => ({
    code: code as number | null,
    stdout: out,
    stderr: err,
  }));

  return {
    child,
    ended,
    async line() {
      const next = await iterator.next();
      if (next.done === true) throw new Error(`${name} ended without the line that was expected:\n${err}`);
      return next.value;
    },
    async told(pattern) {
      let isOver = false;
      for (;;) {
        const found = pattern.exec(err)?.[0];
        if (found !== undefined) return found;
        if (isOver) throw new Error(`${name} ended and never told ${String(pattern)}:\n${err}`);
        isOver = await Promise.race([once(stderr, 'data').then(() => false), ended.then(() => true)]);
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
