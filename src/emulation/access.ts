/**
 * What the guest may do with a field; names as in IEEE 1685 and SystemRDL.
 *
 * | access | guest read | guest write |
 * |---|---|---|
 * | `ro` | value | ignored |
 * | `rw` | value | stores |
 * | `wo` | 0 | stores |
 * | `w1c` | value | ones clear |
 * | `w1s` | value | ones set |
 * | `w0c` | value | zeros clear |
 * | `rc` | value, and clears what it read | ignored |
 * | `none` | 0 | ignored |
 */
export type Access = 'ro' | 'rw' | 'wo' | 'w1c' | 'w1s' | 'w0c' | 'rc' | 'none';

/** The bit planes of a register: which of its bits follow which rule. */
export type Plane = 'read' | 'write' | 'w1c' | 'w1s' | 'w0c' | 'rc';

/** The planes, in the order in which the native table stores them. */
export const PLANES: readonly Plane[] = ['read', 'write', 'w1c', 'w1s', 'w0c', 'rc'];

/** The planes that the bits of a field belong to. */
export const PLANES_OF_ACCESS: Readonly<Record<Access, readonly Plane[]>> = {
  ro: ['read'],
  rw: ['read', 'write'],
  wo: ['write'],
  w1c: ['read', 'w1c'],
  w1s: ['read', 'w1s'],
  w0c: ['read', 'w0c'],
  rc: ['read', 'rc'],
  none: [],
};
