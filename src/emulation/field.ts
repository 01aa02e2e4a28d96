import type { Access } from './access.ts';
import type { ResetKind } from './reset-kind.ts';

/** What device code sees of a field: a flag, a number of at most 32 bits, or a bigint. */
export type FieldValue = boolean | number | bigint;

/** Names for values of a field, as the datasheet prints them. */
export type FieldValues = Readonly<Record<string, number>>;

/** Some bits of a register. Plain data; made by {@link rw} and its siblings. */
export interface Field<A extends Access = Access, V extends FieldValue = FieldValue, L extends string = string> {
  readonly kind: 'field';
  readonly access: A;
  /** Highest bit. */
  readonly msb: number;
  /** Lowest bit. */
  readonly lsb: number;
  /** Declared as one bit: its value is a boolean. */
  readonly flag: boolean;
  readonly values?: FieldValues;
  /** Guest writes leave the field alone while any of these locks is held. */
  readonly locks: readonly L[];
  /** Resets that leave the field alone. */
  readonly survives: readonly ResetKind[];
  /** Carries the value's type; never present. */
  readonly '~value'?: V;
}

/** A tuple of `N` elements. */
type Tuple<N extends number, T extends unknown[] = []> = T['length'] extends N ? T : Tuple<N, [...T, unknown]>;
/** Is `M - L` at least 32? The span of 32 elements is taken off `M` first. */
type IsWide<M extends number, L extends number> =
  Tuple<M> extends [...Tuple<32>, ...infer Rest] ? (Rest extends [...Tuple<L>, ...unknown[]] ? true : false) : false;
/** The value of bits `M:L`: a number up to 32 bits, a bigint above; either where the bits are no literals. */
type SpanValue<M extends number, L extends number> = number extends M | L
  ? number | bigint
  : IsWide<M, L> extends true
    ? bigint
    : number;

/** Declares fields of one access type. Errors in the bits are thrown by {@link registerBlock}, which knows the register's path. */
export interface FieldDeclarer<A extends Access> {
  /** One bit: a boolean. */
  (bit: number): Field<A, boolean, never>;
  /** Bits `msb` down to `lsb`, as datasheets print them: a number, or a bigint where they are more than 32. */
  <const M extends number, const L extends number>(msb: M, lsb: L): Field<A, SpanValue<M, L>, never>;
  /** Bits `msb` down to `lsb` (at most 32), some of whose values have names. */
  <const E extends FieldValues>(msb: number, lsb: number, values: E): Field<A, E[keyof E] | (number & {}), never>;
}

function declarer<A extends Access>(access: A): FieldDeclarer<A> {
  const declare = (msb: number, lsb?: number, values?: FieldValues): Field => ({
    kind: 'field',
    access,
    msb,
    lsb: lsb ?? msb,
    flag: lsb === undefined,
    ...(values === undefined ? {} : { values }),
    locks: [],
    survives: [],
  });
  return declare as FieldDeclarer<A>;
}

/** Read-only: only the device side changes it. */
export const ro: FieldDeclarer<'ro'> = declarer('ro');
/** Read and write. */
export const rw: FieldDeclarer<'rw'> = declarer('rw');
/** Write-only: the guest reads 0. */
export const wo: FieldDeclarer<'wo'> = declarer('wo');
/** Writing ones clears. */
export const w1c: FieldDeclarer<'w1c'> = declarer('w1c');
/** Writing ones sets; only the device side clears. */
export const w1s: FieldDeclarer<'w1s'> = declarer('w1s');
/** Writing zeros clears. */
export const w0c: FieldDeclarer<'w0c'> = declarer('w0c');
/** A guest read clears the bytes that it reads. */
export const rc: FieldDeclarer<'rc'> = declarer('rc');
/** The device's own: the guest reads 0 and changes nothing. */
export const none: FieldDeclarer<'none'> = declarer('none');

/**
 * The same field, frozen for the guest while a lock is held ("RW while disabled" in a datasheet).
 *
 * @param locks - one name or several; the field is frozen while any of them is held
 */
export function lockedBy<A extends Access, V extends FieldValue, M extends string, const L extends string>(
  locks: L | readonly L[],
  field: Field<A, V, M>,
): Field<A, V, L | M> {
  return { ...field, locks: [...field.locks, ...(typeof locks === 'string' ? [locks] : locks)] };
}

/**
 * The same field, left alone by some resets that its register does not survive as a whole. PCI's sticky bits survive
 * `function` and `software`.
 *
 * @param kinds - one kind or several
 */
export function surviving<A extends Access, V extends FieldValue, L extends string>(
  kinds: ResetKind | readonly ResetKind[],
  field: Field<A, V, L>,
): Field<A, V, L> {
  return { ...field, survives: [...field.survives, ...(typeof kinds === 'string' ? [kinds] : kinds)] };
}
