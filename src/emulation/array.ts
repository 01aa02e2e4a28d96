import type { Register } from './register.ts';

/** Registers of one array element by name. */
export type Element = Readonly<Record<string, Register>>;

/** `count` equal sets of registers. Plain data; made by {@link array}. */
export interface RegisterArray<E extends Element = Element, L extends string = string> {
  readonly kind: 'array';
  /** Byte offset of element 0 in the block or group. */
  readonly offset: number;
  /** Bytes from one element to the next. */
  readonly stride: number;
  readonly count: number;
  readonly element: E;
  /** Locks that each element has for itself. */
  readonly locks: readonly L[];
}

/** What an array may say beyond its element. */
export interface ArrayOptions<L extends string = string> {
  /** Locks of each element. Other locks that its registers name belong to the block. */
  readonly locks: readonly L[];
}

/**
 * A table of equal entries, such as one per queue.
 *
 * @param offset - byte offset of element 0
 * @param stride - bytes from one element to the next
 * @param count - elements, a whole number; 0 for none
 * @param element - registers with offsets relative to their element
 */
export function array<const E extends Element>(
  offset: number,
  stride: number,
  count: number,
  element: E,
): RegisterArray<E, never>;
/**
 * A table of equal entries, each with locks of its own.
 *
 * @param offset - byte offset of element 0
 * @param stride - bytes from one element to the next
 * @param count - elements, a whole number; 0 for none
 * @param element - registers with offsets relative to their element
 */
export function array<const E extends Element, const L extends string>(
  offset: number,
  stride: number,
  count: number,
  element: E,
  options: ArrayOptions<L>,
): RegisterArray<E, L>;
export function array(
  offset: number,
  stride: number,
  count: number,
  element: Element,
  options?: ArrayOptions,
): RegisterArray {
  return { kind: 'array', offset, stride, count, element, locks: options?.locks ?? [] };
}
