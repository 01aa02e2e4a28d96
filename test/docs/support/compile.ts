import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import ts from 'typescript';

const root = resolve(import.meta.dirname, '../../..');

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** Errors that TypeScript, as strict as for this repository, finds in a program that uses the package. */
export function errorsOf(text: string): readonly string[] {
  const file = join(root, 'example.ts');
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config as object;
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const paths = Object.entries(exports).flatMap(([name, target]) =>
    typeof target === 'string'
      ? []
      : [[`mdev-user${name.slice(1)}`, [join(root, target.default.replace('dist', 'src').replace(/\.js$/, '.ts'))]]],
  );
  const compilerOptions: ts.CompilerOptions = {
    ...options,
    noEmit: true,
    paths: Object.fromEntries(paths) as ts.MapLike<string[]>,
  };
  const disk = ts.createCompilerHost(compilerOptions);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => name === file || disk.fileExists(name),
    getSourceFile: (name, version, ...rest) =>
      name === file ? ts.createSourceFile(name, text, version) : disk.getSourceFile(name, version, ...rest),
  };
  const program = ts.createProgram([file], compilerOptions, host);
  const source = program.getSourceFile(file);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
    ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'),
  );
}
