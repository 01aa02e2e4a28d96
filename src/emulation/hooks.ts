import type { Element, RegisterArray } from './array.ts';
import type { RegisterBlock, Registers } from './block.ts';
import type { RegisterGroup } from './group.ts';
import type { FieldStates, RegisterValue } from './infer.ts';
import type { Register } from './register.ts';

/** The fields of a register and its whole value at one moment. Reused: valid only during the call; spread it to keep it. */
export type Fieldset<R extends Register> =
  R extends Register<infer W, infer F> ? Readonly<FieldStates<F>> & { readonly value: RegisterValue<W> } : never;

/** Fields that a hook changes. */
export type FieldChanges<R extends Register> = R extends Register<infer _W, infer F> ? Partial<FieldStates<F>> : never;

/** A guest read that reached a hooked register. Reused: valid only during the call. */
export interface ReadAccess {
  /** Index in the register's array, 0 outside arrays. */
  readonly index: number;
}

/** A guest write that reached a hooked register. Reused: valid only during the call. */
export interface WriteAccess<V extends number | bigint = number | bigint> extends ReadAccess {
  /** The bits that this write carried and no lock froze. */
  readonly written: V;
}

// `void` beside the fields lets a hook be a function that returns nothing, whatever its declared return type.
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type
type HookResult<R extends Register> = FieldChanges<R> | void;

/**
 * Behaviour of one register. Hooks run once per access and register, synchronously, and return nothing or the fields
 * they change, which are set as the device side would. A hook that throws ends the access and fails the instance.
 */
export interface RegisterHooks<R extends Register = Register> {
  /** Before the guest reads: brings the stored value up to date. */
  readonly beforeRead?: (access: ReadAccess) => HookResult<R>;
  /** Before a guest write is stored: `next` is what the declaration made of it, the result corrects it. */
  readonly beforeWrite?: (next: Fieldset<R>, previous: Fieldset<R>, access: WriteAccess<WrittenOf<R>>) => HookResult<R>;
  /** After a guest write is stored: its effects. */
  readonly afterWrite?: (next: Fieldset<R>, previous: Fieldset<R>, access: WriteAccess<WrittenOf<R>>) => HookResult<R>;
}

type WrittenOf<R extends Register> = R extends Register<infer W> ? RegisterValue<W> : never;

type ElementHooks<E extends Element> = { readonly [K in keyof E]?: RegisterHooks<E[K]> };

type RegistersHooks<R extends Registers> = {
  readonly [K in keyof R]?: R[K] extends Register
    ? RegisterHooks<R[K]>
    : R[K] extends RegisterArray<infer E>
      ? ElementHooks<E>
      : R[K] extends RegisterGroup<infer G>
        ? RegistersHooks<G>
        : never;
};

/** Hooks of a block: mirrors its registers; an array has one set for all of its elements. */
export type Hooks<B extends RegisterBlock> = RegistersHooks<B['registers']>;
