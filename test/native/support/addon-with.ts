import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { exclusively } from './exclusively.ts';
import { execute } from './execute.ts';
import { sourceDir } from './native-test.ts';

const buildDir = join(sourceDir, '../build');
const objectDir = join(buildDir, 'Release/obj.target/mdev/src');

/**
 * The addon with a C++ file of the tests in it, which includes `addon.cc` and exports more: `$MDEV_NATIVE_PATH` for those that are to load it. It is linked
 * from the objects of the addon that the package built.
 */
export async function addonWith(source: string): Promise<string> {
  // By the sources that there are: objects of those that are gone stay.
  const objects = readdirSync(sourceDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cc') && name !== 'addon.cc')
    .map((name) => join(objectDir, name.replace(/\.cc$/u, '.o')));
  const output = join(buildDir, 'test', `${basename(source, '.cc')}.node`);
  return await exclusively(output, async () => {
    if (isFresh(output, [source, ...objects])) return output;
    mkdirSync(dirname(output), { recursive: true });
    const command = [
      'g++',
      '-shared',
      ...flags(),
      source,
      ...objects,
      '-Wl,-z,now',
      '-Wl,-z,nodelete',
      '-o',
      `${output}.new`,
    ];
    const { code, output: said } = await execute(command);
    if (code !== 0) throw new Error(`g++ failed:\n${said}`);
    renameSync(`${output}.new`, output);
    return output;
  });
}

/** As binding.gyp has them. */
function flags(): readonly string[] {
  const nodeAddonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'));
  const configuration = readFileSync(join(buildDir, 'config.gypi'), 'utf8').replace(/^#.*$/gmu, '');
  const { variables } = JSON.parse(configuration) as { readonly variables: { readonly nodedir: string } };
  return [
    ...['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-fPIC', '-fexceptions', '-fvisibility=hidden', '-pthread'],
    ...['-DNAPI_VERSION=9', '-DNAPI_CPP_EXCEPTIONS', '-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL'],
    ...['-DNODE_ADDON_API_DISABLE_DEPRECATED', '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS', `-I${sourceDir}`],
    ...[nodeAddonApi, join(variables.nodedir, 'include/node'), join(variables.nodedir, 'src')].flatMap((path) => [
      '-isystem',
      path,
    ]),
  ];
}

function isFresh(output: string, inputs: readonly string[]): boolean {
  if (!existsSync(output)) return false;
  const made = statSync(output).mtimeMs;
  return inputs.every((input) => statSync(input).mtimeMs <= made);
}
