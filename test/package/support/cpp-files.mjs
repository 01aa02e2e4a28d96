// The C++ files of the project, for the checks that read or format them.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folders, relative to the root of the repository, that hold C++. */
export const CPP_FOLDERS = ['crates-free/native/src', 'test/native', 'bench'];

/**
 * Lists the C++ files of a tree, sorted, as paths relative to `root`.
 *
 * @param {string} root The folder that CPP_FOLDERS are relative to; a folder that is absent counts as empty.
 * @returns {string[]}
 */
export function cppFiles(root) {
  return CPP_FOLDERS.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /\.(cc|h)$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
    )
    .sort();
}
