// The machine: which core everything is pinned to, and whether it is quiet enough for numbers.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

/** Above this, somebody else is computing. */
const QUIET_LOAD = 0.5;

/**
 * @typedef {object} Pinning
 * @property {number | null} core The core, or null when nothing is pinned.
 * @property {readonly string[]} prefix What starts a pinned command.
 * @property {string | null} warning Why nothing is pinned.
 */

/**
 * Pins to `core`, or else to the last one that this process may use: interrupts and other work favour the first.
 *
 * @param {number | undefined} core
 * @returns {Pinning}
 */
export function pinning(core) {
  const chosen = core ?? allowedCores().at(-1) ?? 0;
  const prefix = ['taskset', '-c', String(chosen)];
  const { status, error, stderr } = spawnSync('taskset', ['-c', String(chosen), 'true'], { encoding: 'utf8' });
  if (error === undefined && status === 0) return { core: chosen, prefix, warning: null };
  const reason = error === undefined ? stderr.trim() : `${error.message} (apt-get install -y util-linux)`;
  return {
    core: null,
    prefix: [],
    warning: `nothing is pinned, so the ratios mean little: taskset for core ${chosen} failed: ${reason}`,
  };
}

/** @returns {number[]} */
function allowedCores() {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/**
 * @returns {string | null} A warning when the machine is busy.
 */
export function busyWarning() {
  const load = loadavg()[0] ?? 0;
  return load <= QUIET_LOAD
    ? null
    : `this machine is busy (load average ${load.toFixed(2)} over the last minute): measure again when it is quiet`;
}

/** @returns {{ processor: string, cores: number, node: string }} */
export function describeMachine() {
  const processors = cpus();
  return { processor: processors[0]?.model ?? 'unknown', cores: processors.length, node: process.version };
}
