import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { cppFiles } from './cpp-files.mjs';

/** Headers through which JavaScript's side of Node.js could enter a file (uv.h is not one of them). */
const NODE_HEADER =
  /^[ \t]*#[ \t]*include[ \t]*[<"](?:napi(?:-inl)?\.h|node_api\.h|js_native_api(?:_types)?\.h|node\.h|v8\.h)[>"]/m;

/** Whether a file may include Node's headers: the entry point and the wrappers that JavaScript sees. */
function mayIncludeNode(path: string): boolean {
  return basename(path) === 'addon.cc' || path.endsWith('_object.cc');
}

/** The C++ files below `root` that include a header of Node.js and may not, sorted. */
export function strayNodeIncludes(root: string): string[] {
  return cppFiles(root).filter(
    (path) => !mayIncludeNode(path) && NODE_HEADER.test(readFileSync(join(root, path), 'utf8')),
  );
}
