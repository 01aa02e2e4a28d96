import type { Element, RegisterArray } from './array.ts';
import type { RegisterBlock, Registers } from './block.ts';
import type { Access } from './access.ts';
import type { Field } from './field.ts';
import type { RegisterGroup } from './group.ts';
import type { Fields, Register, Width } from './register.ts';

type ValueOf<F> = F extends Field<Access, infer V> ? V : never;

/** The value of a whole register: a number up to 32 bits, a bigint for 64. */
export type RegisterValue<W extends Width> = W extends 64 ? bigint : number;

/** The fields of a register by name. */
export type FieldStates<F extends Fields> = { [K in keyof F]: ValueOf<F[K]> };

/**
 * The device's side of one register: get and set without the guest's rules and without hooks.
 * Setting a value that does not fit throws a RangeError that names the field.
 */
export type RegisterView<R extends Register = Register> =
  R extends Register<infer W, infer F>
    ? { -readonly [K in keyof F]: ValueOf<F[K]> } & { value: RegisterValue<W> }
    : never;

/** Lock states by name; true while held. */
export type LockStates<L extends string> = Record<L, boolean>;

type ElementView<E extends Element, L extends string> = { readonly [K in keyof E]: RegisterView<E[K]> } & ([L] extends [
  never,
]
  ? unknown
  : { readonly locks: LockStates<L> });

type RegistersView<R extends Registers> = {
  readonly [K in keyof R]: R[K] extends Register
    ? RegisterView<R[K]>
    : R[K] extends RegisterArray<infer E, infer L>
      ? readonly ElementView<E, L>[]
      : R[K] extends RegisterGroup<infer G>
        ? RegistersView<G>
        : never;
};

/** The device's side of a block: every register by name, arrays as arrays, groups as objects. */
export type RegisterFile<B extends RegisterBlock> = RegistersView<B['registers']>;

type LocksOfRegister<R> =
  R extends Register<Width, infer F, infer L> ? L | { [K in keyof F]: F[K]['locks'][number] }[keyof F] : never;

type LocksOf<R extends Registers> = {
  [K in keyof R]: R[K] extends Register
    ? LocksOfRegister<R[K]>
    : R[K] extends RegisterArray<infer E, infer L>
      ? Exclude<{ [N in keyof E]: LocksOfRegister<E[N]> }[keyof E], L>
      : R[K] extends RegisterGroup<infer G>
        ? LocksOf<G>
        : never;
}[keyof R];

/** Names of the locks that belong to the block itself. */
export type Locks<B extends RegisterBlock> = LocksOf<B['registers']>;
