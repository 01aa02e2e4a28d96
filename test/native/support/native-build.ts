import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { exclusively } from './exclusively.ts';
import { execute } from './execute.ts';
import { type NativeTest, sourceDir, testDir } from './native-test.ts';
import { Turns } from './turns.ts';

const outputDir = join(sourceDir, '../build/test');
const prelude = join(testDir, 'support/standard_library.h');

const compiler = process.env['CXX'] ?? 'g++';
/** A compiler that is ccache refuses compiled headers, unless it hears that no header here goes by the time of day. */
const cache = ['env', 'CCACHE_SLOPPINESS=pch_defines,time_macros'];
/** One compiler per processor in this process, whoever asks. */
const turns = new Turns(availableParallelism());

/**
 * Compiles what is not up to date and returns the program. Throws with the compiler's output.
 *
 * Other builds may be under way, here and in other processes: each file is made by one of them, and the others take it as it is.
 */
export async function build(test: NativeTest): Promise<string> {
  // A test's own text is mostly checks that run once: optimising it would cost more than it saves.
  const own = howTo(test.sanitize, '-O0');
  const shared = howTo(test.sanitize, '-O1');
  const objects = await Promise.all([
    object(own, join(testDir, test.name)),
    ...test.sources.map((source) => object(shared, source)),
  ]);
  const program = join(own.directory, basename(test.name, '.cc'));
  await make(program, () => objects, [...own.flags, ...objects], 'soon');
  return program;
}

/** How to compile for one sanitizer and level of optimisation. */
interface Recipe {
  /** Where everything is that was made this way. */
  readonly directory: string;
  readonly flags: readonly string[];
  /** A file that changes when compiler or flags do. */
  readonly stamp: string;
  /** So many files are compiled this way that it pays to compile their headers once. */
  readonly isShared: boolean;
}

const recipes = new Map<string, Recipe>();

function howTo(sanitize: string | undefined, optimisation: string): Recipe {
  const name = `${sanitize ?? 'plain'}${optimisation}`;
  let recipe = recipes.get(name);
  if (recipe === undefined) {
    const flags = ['-std=c++20', optimisation, '-g1', '-Wall', '-Wextra', '-Werror', '-pthread'];
    // Not vptr: it opens a pipe for each look at an object, in whatever thread, and tests count descriptors.
    if (sanitize !== undefined) flags.push(`-fsanitize=${sanitize}`, '-fno-sanitize=vptr', '-fno-sanitize-recover=all');
    const directory = join(outputDir, name);
    recipe = { directory, flags, stamp: stamped(directory, flags), isShared: sanitize !== undefined };
    recipes.set(name, recipe);
  }
  return recipe;
}

function stamped(directory: string, flags: readonly string[]): string {
  const stamp = join(directory, 'compiler.txt');
  const { stdout } = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  const text = [compiler, ...flags, stdout].join('\n');
  mkdirSync(directory, { recursive: true });
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== text) writeFileSync(stamp, text);
  return stamp;
}

const underWay = new Map<string, Promise<string>>();

/** The object of a source. */
async function object(recipe: Recipe, source: string): Promise<string> {
  const output = join(recipe.directory, objectName(source));
  return await once(output, async () => {
    const flags = [...recipe.flags, `-I${sourceDir}`, `-I${testDir}`, '-MMD', '-c', source];
    const others = [recipe.stamp];
    if (recipe.isShared) {
      const header = await precompiled(recipe);
      others.push(header);
      flags.push('-include', header.replace(/\.gch$/, ''), '-Winvalid-pch', '-fpch-preprocess');
    }
    await make(output, () => dependencies(output)?.concat(others), flags);
  });
}

/** The standard library's headers, compiled. */
async function precompiled(recipe: Recipe): Promise<string> {
  const output = join(recipe.directory, `${basename(prelude)}.gch`);
  return await once(output, async () => {
    await make(output, () => [prelude, recipe.stamp], [...recipe.flags, '-x', 'c++-header', prelude]);
  });
}

/** Tests share objects: each is looked at once. */
async function once(output: string, work: () => Promise<void>): Promise<string> {
  let result = underWay.get(output);
  if (result === undefined) {
    result = work().then(() => output);
    underWay.set(output, result);
  }
  return await result;
}

/** Makes a file of others with the compiler, unless it is newer than all of them. */
async function make(
  output: string,
  inputs: () => readonly string[] | undefined,
  flags: readonly string[],
  when: 'in turn' | 'soon' = 'in turn',
): Promise<void> {
  if (isFresh(output, inputs())) return;
  await exclusively(output, async () => {
    if (isFresh(output, inputs())) return;
    await turns.take(when, async () => {
      await compile(flags, output);
    });
  });
}

function objectName(source: string): string {
  const within = source.startsWith(sourceDir) ? source.slice(sourceDir.length + 1) : `test/${basename(source)}`;
  return `${within.replaceAll('/', '-')}.o`;
}

/** What an object was made of, as the compiler wrote it down; undefined when it was not made yet. */
function dependencies(object: string): string[] | undefined {
  const list = object.replace(/\.o$/, '.d');
  if (!existsSync(list)) return undefined;
  const [, files = ''] = readFileSync(list, 'utf8').replaceAll('\\\n', ' ').split(': ');
  return files.split(/\s+/).filter((file) => file !== '');
}

function isFresh(output: string, inputs: readonly string[] | undefined): boolean {
  if (inputs === undefined || !existsSync(output)) return false;
  const made = statSync(output).mtimeMs;
  return inputs.every((input) => existsSync(input) && statSync(input).mtimeMs <= made);
}

/** Compiles to a file of its own first: whoever looks sees all of it or nothing. */
async function compile(flags: readonly string[], output: string): Promise<void> {
  mkdirSync(dirname(output), { recursive: true });
  const partial = `${output}.${String(process.pid)}`;
  const lists = flags.includes('-MMD');
  const listed = lists ? ['-MF', `${partial}.d`] : [];
  const started = new Date();
  try {
    const command = [...cache, compiler, ...flags, ...listed, '-o', partial];
    const { code, output: said } = await execute(command);
    if (code !== 0) throw new Error(`${compiler} failed:\n${said}`);
    // What was changed while it was being compiled is newer than this.
    utimesSync(partial, started, started);
    if (lists) renameSync(`${partial}.d`, output.replace(/\.o$/, '.d'));
    renameSync(partial, output);
  } finally {
    for (const left of [partial, `${partial}.d`]) rmSync(left, { force: true });
  }
}
