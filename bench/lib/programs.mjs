// Compiles the C programs of bench/native into bench/build, again only when a source is newer.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = join(import.meta.dirname, '../native');
const BUILD = join(import.meta.dirname, '../build');
const FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror'];

const PROGRAMS = {
  'floor-echo': ['floor_echo.c', 'unix_socket.c'],
  'floor-reader': ['floor_reader.c', 'unix_socket.c'],
  client: [
    'client.c',
    'measure_read.c',
    'measure_posted.c',
    'measure_dma.c',
    'measure_engine.c',
    'dsa_device.c',
    'engine_queue.c',
    'samples.c',
    'session.c',
    'unix_socket.c',
  ],
};

/**
 * Compiles what is missing or older than any source.
 *
 * @returns {Record<keyof typeof PROGRAMS, string>} The path of each program.
 * @throws {Error} With the compiler's output, or the line that installs a compiler.
 */
export function buildPrograms() {
  mkdirSync(BUILD, { recursive: true });
  const newest = Math.max(...readdirSync(SOURCES).map((file) => statSync(join(SOURCES, file)).mtimeMs));
  return /** @type {Record<keyof typeof PROGRAMS, string>} */ (
    Object.fromEntries(
      Object.entries(PROGRAMS).map(([program, sources]) => {
        const output = join(BUILD, program);
        const built = statSync(output, { throwIfNoEntry: false });
        if (built === undefined || built.mtimeMs < newest) compile(output, sources);
        return [program, output];
      }),
    )
  );
}

/**
 * @param {string} output
 * @param {readonly string[]} sources
 */
function compile(output, sources) {
  const paths = sources.map((source) => join(SOURCES, source));
  const { status, error, stderr } = spawnSync('cc', [...FLAGS, '-o', output, ...paths], { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`cannot run cc: ${error.message}; install with: apt-get install -y gcc`);
  if (status !== 0) throw new Error(`cc failed for ${output}:\n${stderr}`);
}
