import { constants } from 'node:os';

const names = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  // Two names of one number: the first one in Linux's own order is the common one (EAGAIN, not EWOULDBLOCK; ENOTSUP is EOPNOTSUPP).
  if (!names.has(value)) names.set(value, name);
}

/** The name of a Linux errno ("EINVAL"), or "errno 4095" for a number without one. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The number of an errno's name, or undefined. */
export function errnoOf(name: string): number | undefined {
  return Object.entries(constants.errno).find(([candidate]) => candidate === name)?.[1];
}

/** The errno that an error carries as `code`, as Node's and this package's errors do; `otherwise` when it carries none. */
export function errnoOfError(error: unknown, otherwise: number): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (typeof code === 'string' ? errnoOf(code) : undefined) ?? otherwise;
}
