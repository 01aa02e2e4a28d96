import { closeSync, openSync } from 'node:fs';

/** Leaves no descriptor number below the ones that are open, and room for `count` more, until it is disposed of. */
export function fillFiles(count: number): Disposable {
  const fds: number[] = [];
  try {
    for (;;) fds.push(openSync('/dev/null', 'r'));
  } catch {
    for (const fd of fds.splice(0, count)) closeSync(fd);
  }
  return {
    [Symbol.dispose]: () => {
      for (const fd of fds) closeSync(fd);
    },
  };
}
