import type { Field } from './field.ts';
import type { ResetKind } from './reset-kind.ts';

/** Fields of a register by name, in camelCase. */
export type Fields = Readonly<Record<string, Field>>;

/** Bits of a register. */
export type Width = 8 | 16 | 32 | 64;

/** Bytes of a guest access. */
export type AccessWidth = 1 | 2 | 4 | 8;

/** What a register may say beyond its fields. */
export interface RegisterOptions<L extends string = string> {
  /** Value after reset, 0 when absent. Only bits of declared fields. */
  readonly reset?: number | bigint;
  /** Guest writes leave the whole register alone while any of these locks is held. */
  readonly lockedBy?: L | readonly L[];
  /** Bytes of this register that one guest write may carry; other writes are dropped and counted. Reads are free. */
  readonly widths?: readonly AccessWidth[];
  /** `'last'`: bytes are staged, and value and hooks take effect when the highest byte is written. */
  readonly commit?: 'last';
  /** Engines change it: 4 or 8 bytes that every side reaches by atomic operations. */
  readonly shared?: boolean;
  /** Resets that leave it alone. */
  readonly survives?: readonly ResetKind[];
  /** Set when the instance is created, and kept over every reset. */
  readonly constant?: boolean;
}

/** A register. Plain data; made by {@link reg32} and its siblings. */
export interface Register<W extends Width = Width, F extends Fields = Fields, L extends string = string> {
  readonly kind: 'register';
  readonly width: W;
  /** Byte offset in the block, group or array element. */
  readonly offset: number;
  readonly fields: F;
  readonly options: RegisterOptions<L>;
}

/** Declares registers of one width. Errors are thrown by {@link registerBlock}, which knows the register's path. */
export interface RegisterDeclarer<W extends Width> {
  /** A register without locks of its own; its fields may have some. */
  // Apart from the locked one: a single signature would infer the lock from where the register is used, as any string.
  <const F extends Fields>(offset: number, fields: F, options?: RegisterOptions<never>): Register<W, F, never>;
  /** A register that locks freeze. */
  <const F extends Fields, const L extends string>(
    offset: number,
    fields: F,
    options: RegisterOptions<L>,
  ): Register<W, F, L>;
}

function declarer<W extends Width>(width: W): RegisterDeclarer<W> {
  const declare = (offset: number, fields: Fields, options: RegisterOptions = {}): Register<W> => ({
    kind: 'register',
    width,
    offset,
    fields,
    options,
  });
  return declare as RegisterDeclarer<W>;
}

/** An 8-bit register. */
export const reg8: RegisterDeclarer<8> = declarer(8);
/** A 16-bit register, little-endian. */
export const reg16: RegisterDeclarer<16> = declarer(16);
/** A 32-bit register, little-endian. */
export const reg32: RegisterDeclarer<32> = declarer(32);
/** A 64-bit register, little-endian. */
export const reg64: RegisterDeclarer<64> = declarer(64);
