import { execFileSync } from 'node:child_process';
import { fstatSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';

interface Addon {
  hold(inode: number): number;
  stopped(): number;
  release(): void;
}

const built = resolve(import.meta.dirname, '../../../crates-free/native/build');
const source = join(import.meta.dirname, 'slow_memory.cc');
let loaded: Addon | undefined;

/** Compiled with the headers that the addon was built with, unless it is newer than its source. */
function addon(): Addon {
  if (loaded !== undefined) return loaded;
  const nodedir = /"nodedir": "([^"]+)"/.exec(readFileSync(join(built, 'config.gypi'), 'utf8'))?.[1];
  if (nodedir === undefined) throw new Error('the native addon was not built here');
  const directory = join(built, 'test');
  const library = join(directory, 'slow_memory.node');
  if ((statSync(library, { throwIfNoEntry: false })?.mtimeMs ?? 0) < statSync(source).mtimeMs) {
    mkdirSync(directory, { recursive: true });
    const partial = `${library}.${String(process.pid)}`;
    const includes = [`-I${join(nodedir, 'include/node')}`, `-I${join(nodedir, 'src')}`];
    const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-pthread'];
    execFileSync(process.env['CXX'] ?? 'g++', [...flags, ...includes, source, '-o', partial]);
    renameSync(partial, library);
  }
  loaded = createRequire(import.meta.url)(library) as Addon;
  return loaded;
}

/** The memory of one file at a time, which can be made slow to come: an engine that touches it stops there. */
export class SlowMemory {
  readonly #addon = addon();

  /** From now on, in every mapping of the file that this process has. */
  hold(fd: number): void {
    if (this.#addon.hold(fstatSync(fd).ino) === 0) throw new Error('nobody has mapped the file');
  }

  /** Resolves when so many have touched it. */
  async touched(count = 1): Promise<void> {
    while (this.#addon.stopped() < count) await setTimeout(1);
  }

  /** All go on. Idempotent. */
  release(): void {
    this.#addon.release();
  }
}
