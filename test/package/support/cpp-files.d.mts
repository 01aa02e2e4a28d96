/** Folders, relative to the root of the repository, that hold C++. */
export const CPP_FOLDERS: readonly string[];

/** Lists the C++ files of a tree, sorted, as paths relative to `root`. */
export function cppFiles(root: string): string[];
