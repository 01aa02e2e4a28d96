import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Names another addon file than the one built in the package (a sanitizer build, for example). */
const PATH_VARIABLE = 'MDEV_NATIVE_PATH';

// src/native and dist/native lie equally deep below the package.
const builtAddon = fileURLToPath(new URL('../../crates-free/native/build/Release/mdev.node', import.meta.url));

/**
 * Loads the native addon: the file named by `$MDEV_NATIVE_PATH`, or else the one that the package built.
 *
 * @returns the addon's exports, not checked.
 * @throws Error in one line that names the file and what to do, when it is missing or does not load.
 */
export function loadAddon(environment: Readonly<NodeJS.ProcessEnv> = process.env): unknown {
  const named = environment[PATH_VARIABLE];
  const isNamed = named !== undefined && named !== '';
  const path = isNamed ? named : builtAddon;
  const advice = isNamed
    ? `it is named by $${PATH_VARIABLE}; expected the path of an mdev.node, or no such variable`
    : 'build it with "npm run build:native" in the package directory';
  if (!existsSync(path)) throw new Error(`mdev-user: no native addon at ${path}; ${advice}`);
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new Error(`mdev-user: cannot load the native addon ${path} (${reason}); ${advice}`, { cause });
  }
}
