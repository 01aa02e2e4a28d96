// Compiles the programs of bench/native into bench/build, again only when a source is newer.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = join(import.meta.dirname, '../native');
const BUILD = join(import.meta.dirname, '../build');
/** The addon's sources: what is timed inside the process is compiled from them. */
const NATIVE = join(import.meta.dirname, '../../crates-free/native/src');
const FLAGS = ['-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror'];

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
 * The C++ programs: each of a file in bench/native, and all of these folders of the addon's sources.
 *
 * @type {Record<string, readonly string[]>}
 */
const NATIVE_PROGRAMS = {
  maps: ['memory', 'base'],
  portal: ['memory', 'base', 'registers', 'irq', 'engine', 'dsa', 'dsa/crc', 'dsa/typed', 'dsa/operations'],
};

/**
 * Compiles what is missing or older than any source.
 *
 * @returns {Record<keyof typeof PROGRAMS | 'maps' | 'portal', string>} The path of each program.
 * @throws {Error} With the compiler's output, or the line that installs a compiler.
 */
export function buildPrograms() {
  mkdirSync(BUILD, { recursive: true });
  /** @type {Record<string, string>} */
  const programs = {};
  const own = newest(SOURCES);
  for (const [program, sources] of Object.entries(PROGRAMS)) {
    programs[program] = built(program, own, (output) => {
      const paths = sources.map((source) => join(SOURCES, source));
      compile('cc', 'gcc', ['-std=c11', ...FLAGS, '-o', output, ...paths]);
    });
  }
  for (const [program, folders] of Object.entries(NATIVE_PROGRAMS)) {
    const paths = folders.map((folder) => join(NATIVE, folder));
    programs[program] = built(program, Math.max(own, ...paths.map(newest)), (output) => {
      const samples = `${output}-samples.o`;
      compile('cc', 'gcc', ['-std=c11', ...FLAGS, '-c', '-o', samples, join(SOURCES, 'samples.c')]);
      const sources = paths.flatMap((path) => files(path).filter((file) => file.endsWith('.cc')));
      const options = ['-std=c++20', ...FLAGS, '-pthread', `-I${NATIVE}`, `-I${SOURCES}`];
      compile('c++', 'g++', [...options, '-o', output, join(SOURCES, `${program}.cc`), ...sources, samples]);
    });
  }
  return /** @type {ReturnType<typeof buildPrograms>} */ (programs);
}

/** @param {string} folder */
function files(folder) {
  return readdirSync(folder).map((file) => join(folder, file));
}

/** @param {string} folder */
function newest(folder) {
  return Math.max(...files(folder).map((file) => statSync(file).mtimeMs));
}

/**
 * @param {string} program
 * @param {number} changed When its sources were changed last.
 * @param {(output: string) => void} make
 */
function built(program, changed, make) {
  const output = join(BUILD, program);
  const there = statSync(output, { throwIfNoEntry: false });
  if (there === undefined || there.mtimeMs < changed) make(output);
  return output;
}

/**
 * @param {string} compiler
 * @param {string} toInstall
 * @param {readonly string[]} args
 */
function compile(compiler, toInstall, args) {
  const { status, error, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (error !== undefined) {
    throw new Error(`cannot run ${compiler}: ${error.message}; install with: apt-get install -y ${toInstall}`);
  }
  if (status !== 0) throw new Error(`${compiler} failed:\n${stderr}`);
}
