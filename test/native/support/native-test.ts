import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');
const sourceDir = join(root, 'crates-free/native/src');
const testDir = join(root, 'test/native');
const outputDir = join(root, 'crates-free/native/build/test');

const compiler = process.env['CXX'] ?? 'g++';
const warnings = ['-Wall', '-Wextra', '-Werror'];

/** A C++ test, as the comments at its top describe it. */
export interface NativeTest {
  /** File name below test/native. */
  readonly name: string;
  /** The files to compile with it: `// sources: dir/*.cc dir/file.cc`, below crates-free/native/src. */
  readonly sources: readonly string[];
  /** Value of -fsanitize: `// sanitize: address,undefined`. */
  readonly sanitize: string | undefined;
}

/** What a program did. */
export interface Outcome {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  /** Standard output and error, as they came. */
  readonly output: string;
}

/** All tests `*.test.cc` of test/native. Throws when a comment names a source that does not exist. */
export function nativeTests(): NativeTest[] {
  return readdirSync(testDir)
    .filter((name) => name.endsWith('.test.cc'))
    .sort()
    .map((name) => {
      const text = readFileSync(join(testDir, name), 'utf8');
      const patterns = comment(text, 'sources')?.split(/\s+/) ?? [];
      return { name, sources: patterns.flatMap(expand), sanitize: comment(text, 'sanitize') };
    });
}

/** Compiles what is not up to date and returns the program. Throws with the compiler's output. */
export async function build(test: NativeTest): Promise<string> {
  const flags = ['-std=c++20', '-O1', '-g', ...warnings, '-pthread', `-I${sourceDir}`, `-I${testDir}`];
  if (test.sanitize !== undefined) flags.push(`-fsanitize=${test.sanitize}`, '-fno-sanitize-recover=all');
  const directory = join(outputDir, test.sanitize ?? 'plain');
  const program = join(directory, basename(test.name, '.cc'));

  const objects = new Map(
    [join(testDir, test.name), ...test.sources].map((source) => [source, join(directory, objectName(source))]),
  );
  const stale = [...objects].filter(([, object]) => !isFresh(object, dependencies(object)));
  await inParallel(stale, ([source, object]) => compile([...flags, '-MMD', '-c', source], object));

  const inputs = [...objects.values()];
  if (!isFresh(program, inputs)) await compile([...flags, ...inputs], program);
  return program;
}

/** Runs a program. ThreadSanitizer wants memory layouts that address randomisation spoils on some kernels. */
export async function run(program: string, { sanitize }: NativeTest): Promise<Outcome> {
  const fixed = sanitize === 'thread' && canFixAddresses();
  return await execute(fixed ? ['setarch', '-R', program] : [program]);
}

let fixable: boolean | undefined;

function canFixAddresses(): boolean {
  fixable ??= spawnSync('setarch', ['-R', 'true'], { stdio: 'ignore' }).status === 0;
  return fixable;
}

function comment(text: string, key: string): string | undefined {
  return new RegExp(`^// ${key}: *(.+?) *$`, 'm').exec(text)?.[1];
}

/** A file below the sources, or all `*.cc` of a directory in which JavaScript is not met. */
function expand(pattern: string): string[] {
  const path = join(sourceDir, pattern);
  if (basename(path) !== '*.cc') {
    if (!existsSync(path)) throw new Error(`a native test wants ${pattern}, which does not exist`);
    return [path];
  }
  const found = readdirSync(dirname(path)).filter((name) => name.endsWith('.cc') && !name.endsWith('_object.cc'));
  if (found.length === 0) throw new Error(`a native test wants ${pattern}, which matches nothing`);
  return found.sort().map((name) => join(dirname(path), name));
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

/** Compiles to a file of its own first: another run may be doing the same. */
async function compile(flags: readonly string[], output: string): Promise<void> {
  mkdirSync(dirname(output), { recursive: true });
  const partial = `${output}.${String(process.pid)}`;
  const lists = flags.includes('-MMD');
  const listed = lists ? ['-MF', `${partial}.d`] : [];
  try {
    const { code, output: said } = await execute([compiler, ...flags, ...listed, '-o', partial]);
    if (code !== 0) throw new Error(`${compiler} failed:\n${said}`);
    if (lists) renameSync(`${partial}.d`, output.replace(/\.o$/, '.d'));
    renameSync(partial, output);
  } finally {
    for (const left of [partial, `${partial}.d`]) rmSync(left, { force: true });
  }
}

async function execute([command = '', ...args]: readonly string[]): Promise<Outcome> {
  return await new Promise((settle, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const pieces: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => pieces.push(piece));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const ending = signal === null ? '' : `\nended by ${signal}\n`;
      settle({ code, output: Buffer.concat(pieces).toString('utf8') + ending });
    });
  });
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
