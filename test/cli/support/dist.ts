import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

let current: Promise<void> | undefined;

/**
 * A program of dist, as `npm ci` builds it. What is older than its source is compiled first, file by file and without types, so that a test
 * never runs yesterday's program. Test files may do so at the same time: each file is replaced as a whole, with the same text.
 *
 * @param name - below dist, such as `cli/main.js`
 */
export async function distProgram(name: string): Promise<string> {
  current ??= bringUpToDate();
  await current;
  return join(root, 'dist', name);
}

async function bringUpToDate(): Promise<void> {
  const stale = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ source: join(root, 'src', name), output: join(root, 'dist', name.replace(/\.ts$/, '.js')) }))
    .filter(({ source, output }) => modified(output) < modified(source));
  if (stale.length === 0) return;
  const { default: ts } = await import('typescript');
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config as object;
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  // One file alone does not tell that the package is of ES modules.
  const compilerOptions = { ...options, noEmit: false, module: ts.ModuleKind.ESNext, sourceMap: true };
  for (const { source, output } of stale) {
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
      fileName: source,
      compilerOptions,
    });
    replace(output, outputText);
  }
}

/** Milliseconds; 0 for a file that does not exist. */
function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}
