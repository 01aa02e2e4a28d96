import type { RegisterArray } from './array.ts';
import { bitMask, high32, low32 } from './bits.ts';
import type { RegisterBlock } from './block.ts';
import { DeclarationError } from './declaration-error.ts';
import { codecOf, type FieldCodec } from './field-codec.ts';
import type { FieldStates, Locks } from './infer.ts';
import { layoutOf } from './layout.ts';
import { blockOf, type BlockOrTable, registerAt, type RegisterAt, type RegisterPath } from './paths.ts';
import type { Register } from './register.ts';

/** One atomic operation on an aligned 32-bit word of a region's memory, for a thread that runs no JavaScript. */
export interface RegisterEffect {
  /** Byte offset of the word in the region's memory. */
  readonly offset: number;
  readonly operation: 'store' | 'or' | 'and';
  /** Unsigned 32 bits. */
  readonly value: number;
}

type FieldsAt<B extends RegisterBlock, P extends string> =
  RegisterAt<B, P> extends Register<infer _W, infer F> ? Partial<FieldStates<F>> : never;

/**
 * The operations that set fields of a shared register. Words whose declared fields are all given are stored at once;
 * otherwise bits are cleared first and then set, so a field of several bits may show an intermediate value between.
 *
 * @throws {@link DeclarationError} that names the register if it does not exist or is not shared, or a field does
 * not exist; RangeError or TypeError for a value that does not fit
 */
export function wordEffect<B extends RegisterBlock, const P extends RegisterPath<B>>(
  source: BlockOrTable<B>,
  path: P,
  fields: FieldsAt<B, P>,
): readonly RegisterEffect[] {
  const { register, offset } = registerAt(blockOf(source), path);
  if (register.options.shared !== true) throw new DeclarationError(`${path}: only shared registers have effects`);
  let declared = 0n;
  for (const { msb, lsb } of Object.values(register.fields)) declared |= bitMask(msb, lsb);
  const mask = [0, 0] as [number, number];
  const bits = [0, 0] as [number, number];
  for (const [name, value] of Object.entries(fields) as [string, unknown][]) {
    const field = Object.hasOwn(register.fields, name) ? register.fields[name] : undefined;
    if (field === undefined) throw new DeclarationError(`${path}: there is no field ${name}`);
    const codec: FieldCodec = codecOf(field);
    codec.check(value, path, name);
    mask[0] |= codec.maskLow;
    mask[1] |= codec.maskHigh;
    bits[0] |= codec.low(value);
    bits[1] |= codec.high(value);
  }
  return [
    ...operations(offset, mask[0], bits[0], low32(declared)),
    ...operations(offset + 4, mask[1], bits[1], high32(declared)),
  ];
}

function operations(offset: number, mask: number, bits: number, declared: number): readonly RegisterEffect[] {
  if (mask === 0) return [];
  if (mask === declared) return [{ offset, operation: 'store', value: bits >>> 0 }];
  const effects: RegisterEffect[] = [];
  if ((mask & ~bits) !== 0) effects.push({ offset, operation: 'and', value: ~(mask & ~bits) >>> 0 });
  if (bits !== 0) effects.push({ offset, operation: 'or', value: bits >>> 0 });
  return effects;
}

type ElementLock<B extends RegisterBlock> = {
  [K in keyof B['registers'] & string]: B['registers'][K] extends RegisterArray<infer _E, infer L>
    ? readonly [array: K, index: number, lock: L]
    : never;
}[keyof B['registers'] & string];

/**
 * The operation that holds or releases a lock: of the block by name, or of an array element as `['WQCFG', 3, 'enabled']`.
 *
 * @throws {@link DeclarationError} if there is no such lock or element
 */
export function lockEffect<B extends RegisterBlock>(
  source: BlockOrTable<B>,
  lock: Locks<B> | ElementLock<B>,
  held: boolean,
): readonly RegisterEffect[] {
  const block = blockOf(source);
  const { word, bit } =
    typeof lock === 'string'
      ? blockLock(block, lock)
      : elementLock(block, ...(lock as unknown as [string, number, string]));
  const mask = 1 << bit;
  const offset = layoutOf(block).lockOffset + 4 * word;
  return [{ offset, operation: held ? 'or' : 'and', value: (held ? mask : ~mask) >>> 0 }];
}

interface LockPlace {
  readonly word: number;
  readonly bit: number;
}

function blockLock(block: RegisterBlock, lock: string): LockPlace {
  const bit = layoutOf(block).locks.indexOf(lock);
  if (bit < 0) throw new DeclarationError(`lock ${lock}: the block has no such lock`);
  return { word: 0, bit };
}

function elementLock(block: RegisterBlock, path: string, index: number, lock: string): LockPlace {
  const first = layoutOf(block).elementLocks.get(path);
  const array = layoutOf(block).registers.find((register) => register.arrayPath === path)?.array;
  const bit = array?.locks.indexOf(lock) ?? -1;
  if (first === undefined || array === undefined || bit < 0)
    throw new DeclarationError(`lock ${path}[].${lock}: the array has no such lock`);
  if (!Number.isInteger(index) || index < 0 || index >= array.count)
    throw new DeclarationError(`lock ${path}[${index}].${lock}: the array has ${array.count} elements`);
  return { word: first + index, bit };
}
