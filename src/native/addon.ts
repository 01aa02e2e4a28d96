/** The native addon's exports, loaded and of the interface that this package is written for. */
import { loadAddon } from './loader.ts';

/** The interface that this binding is written for. */
const ABI_VERSION = 1;

function load(): unknown {
  const loaded = loadAddon() as { readonly abiVersion: number };
  if (loaded.abiVersion !== ABI_VERSION) {
    throw new Error(
      `mdev-user: the native addon has interface version ${String(loaded.abiVersion)}; expected ${ABI_VERSION}; ` +
        'build it with "npm run build:native" in the package directory',
    );
  }
  return loaded;
}

/** Everything the addon exports; whoever uses it narrows it to the objects that it declares. */
export const addon: unknown = load();
