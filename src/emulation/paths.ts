import type { RegisterArray } from './array.ts';
import type { RegisterBlock, Registers } from './block.ts';
import type { CompiledTable } from './compile.ts';
import { DeclarationError } from './declaration-error.ts';
import type { RegisterGroup } from './group.ts';
import { type LaidOut, layoutOf } from './layout.ts';
import type { Register } from './register.ts';

type PathsIn<R extends Registers> = string extends keyof R
  ? string
  : {
      [K in keyof R & string]: R[K] extends Register
        ? K
        : R[K] extends RegisterArray<infer E>
          ? `${K}[${number}].${keyof E & string}`
          : R[K] extends RegisterGroup<infer G>
            ? `${K}.${PathsIn<G>}`
            : never;
    }[keyof R & string];

/** Paths of a block's registers: `CMD`, `WQCFG[3].MODE`, `PCIE.DEVCTL`. */
export type RegisterPath<B extends RegisterBlock> = PathsIn<B['registers']>;

type RegisterIn<R extends Registers, P extends string> = string extends keyof R
  ? Register
  : P extends keyof R
    ? Extract<R[P], Register>
    : P extends `${infer H}.${infer T}`
      ? H extends `${infer A}[${string}]`
        ? R[A] extends RegisterArray<infer E>
          ? E[T]
          : never
        : R[H] extends RegisterGroup<infer G>
          ? RegisterIn<G, T>
          : never
      : never;

/** The register at a path. */
export type RegisterAt<B extends RegisterBlock, P extends string> = RegisterIn<B['registers'], P>;

/** A block, or its table. */
export type BlockOrTable<B extends RegisterBlock> = B | CompiledTable<B>;

/** The block itself. */
export function blockOf<B extends RegisterBlock>(source: BlockOrTable<B>): B {
  return 'bytes' in source ? source.block : source;
}

/** @throws {@link DeclarationError} if there is no such register */
export function registerAt(block: RegisterBlock, path: string): LaidOut {
  const found = layoutOf(block).byPath.get(path);
  if (found === undefined) throw new DeclarationError(`${path}: there is no such register`);
  return found;
}

/**
 * Byte offset of a register in its block and in a region's memory.
 *
 * @throws {@link DeclarationError} if there is no such register
 */
export function offsetOf<B extends RegisterBlock>(source: BlockOrTable<B>, path: RegisterPath<B>): number {
  return registerAt(blockOf(source), path).offset;
}
