// The processes of a run: servers that live through all rounds, and one client at a time.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';

const START_SECONDS = 20;
const CLIENT_SECONDS = 120;
const STOP_SECONDS = 5;

/** Processes that must not outlive the harness. */
const running = new Set();
let interrupted = false;

/**
 * @param {readonly string[]} command
 * @param {import('node:child_process').SpawnOptions} options
 */
function start([program, ...args], options) {
  if (interrupted) throw new Error('interrupted');
  const child = spawn(/** @type {string} */ (program), args, options);
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/**
 * Starts a server and waits for the line "ready" on its standard output.
 *
 * @param {string} name For messages.
 * @param {readonly string[]} command
 * @returns {Promise<{ stop(): Promise<void> }>}
 * @throws {Error} When it ends or stays silent.
 */
export async function startServer(name, command) {
  // The server's standard input is a pipe whose end tells it that the harness is gone.
  const child = start(command, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await readiness(name, child);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_SECONDS * 1000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/**
 * @param {string} name
 * @param {import('node:child_process').ChildProcess} child
 */
async function readiness(name, child) {
  await new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`server '${name}' is not ready after ${START_SECONDS} s`)),
      START_SECONDS * 1000,
    );
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
      if (!/^ready$/m.test(output)) return;
      clearTimeout(timer);
      resolve(undefined);
    });
    child.once('error', (error) => reject(new Error(`server '${name}': ${error.message}`)));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`server '${name}' ended before it was ready (${signal ?? `exit code ${code}`})`));
    });
  });
}

/**
 * Runs the client to its end.
 *
 * @param {readonly string[]} command
 * @returns {Promise<Record<string, { p50: number, min: number, samples: number }>>} Its series, in nanoseconds per operation.
 * @throws {Error} When it fails; says what it printed.
 */
export async function runClient(command) {
  const child = start(command, { stdio: ['ignore', 'pipe', 'pipe'], timeout: CLIENT_SECONDS * 1000 });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk) => (output += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk) => (errors += chunk));
  const [code, signal] = await once(child, 'close');
  if (interrupted) throw new Error('interrupted');
  if (code !== 0) {
    const reason = signal === null ? `exit code ${code}` : `${signal}, after at most ${CLIENT_SECONDS} s`;
    throw new Error(`${command.join(' ')} failed (${reason}): ${errors.trim()}`);
  }
  return JSON.parse(output).series;
}

/** Ends every process, and lets no other start: whoever waits for one gets an error. */
export function interrupt() {
  interrupted = true;
  for (const child of running) child.kill('SIGKILL');
}
