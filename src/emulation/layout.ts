import { alignUp, bitMask } from './bits.ts';
import type { RegisterBlock } from './block.ts';
import { type Placement, placements } from './placement.ts';
import type { Register } from './register.ts';
import { NO_STAGE, STAGE_SIZE } from './table-format.ts';
import { bytesOf } from './validate.ts';

/** Register bits that are frozen while any lock of `mask` in a lock word is held. */
interface LockRule {
  /** Index of the lock word; 0 is the block's. */
  readonly lockWord: number;
  readonly mask: number;
  readonly bits: bigint;
}

/** A register with its lock rules and staging slot. */
export interface LaidOut extends Placement {
  readonly rules: readonly LockRule[];
  /** Index of the staging slot, or NO_STAGE. */
  readonly stageIndex: number;
}

/** How the memory of a region of this block is used: registers at their offsets, then lock words, then staging slots. */
export interface Layout {
  /** By ascending offset. */
  readonly registers: readonly LaidOut[];
  readonly byPath: ReadonlyMap<string, LaidOut>;
  /** The block's locks; bit n of lock word 0 is the n-th. */
  readonly locks: readonly string[];
  /** Lock word of element 0 of each array that owns locks, by array path; its elements follow. */
  readonly elementLocks: ReadonlyMap<string, number>;
  readonly lockWords: number;
  readonly stages: number;
  /** Byte offset of lock word 0. */
  readonly lockOffset: number;
  /** Byte offset of staging slot 0. */
  readonly stageOffset: number;
  /** Bytes of a region's memory. */
  readonly memorySize: number;
}

const layouts = new WeakMap<RegisterBlock, Layout>();

/** The layout of a block, computed once. */
export function layoutOf(block: RegisterBlock): Layout {
  let layout = layouts.get(block);
  if (layout === undefined) {
    layout = computeLayout(block);
    layouts.set(block, layout);
  }
  return layout;
}

function computeLayout(block: RegisterBlock): Layout {
  const sorted = [...placements(block)].sort((a, b) => a.offset - b.offset);
  const locks: string[] = [];
  const elementLocks = new Map<string, number>();
  let lockWords = 1;
  let stages = 0;
  const registers = sorted.map((placement): LaidOut => {
    const { array, arrayPath, register } = placement;
    if (array !== undefined && array.locks.length > 0 && !elementLocks.has(arrayPath)) {
      elementLocks.set(arrayPath, lockWords);
      lockWords += array.count;
    }
    const elementWord = (elementLocks.get(arrayPath) ?? 0) + placement.index;
    const place = (lock: string): LockPlace => {
      const bit = array?.locks.indexOf(lock) ?? -1;
      if (bit >= 0) return { lockWord: elementWord, bit };
      if (!locks.includes(lock)) locks.push(lock);
      return { lockWord: 0, bit: locks.indexOf(lock) };
    };
    const stageIndex = register.options.commit === 'last' ? stages++ : NO_STAGE;
    return { ...placement, rules: rulesOf(register, place), stageIndex };
  });
  const lockOffset = alignUp(block.size, 8);
  const stageOffset = alignUp(lockOffset + 4 * lockWords, STAGE_SIZE);
  return {
    registers,
    byPath: new Map(registers.map((entry) => [entry.path, entry])),
    locks,
    elementLocks,
    lockWords,
    stages,
    lockOffset,
    stageOffset,
    memorySize: stageOffset + STAGE_SIZE * stages,
  };
}

interface LockPlace {
  readonly lockWord: number;
  readonly bit: number;
}

/** One rule per lock word and set of bits: locks that freeze the same bits share a mask. */
function rulesOf(register: Register, place: (lock: string) => LockPlace): readonly LockRule[] {
  const frozen = new Map<string, bigint>();
  const freeze = (lock: string, bits: bigint): void => void frozen.set(lock, (frozen.get(lock) ?? 0n) | bits);
  const { lockedBy } = register.options;
  for (const lock of typeof lockedBy === 'string' ? [lockedBy] : (lockedBy ?? []))
    freeze(lock, bitMask(8 * bytesOf(register) - 1, 0));
  for (const field of Object.values(register.fields))
    for (const lock of field.locks) freeze(lock, bitMask(field.msb, field.lsb));
  const rules = new Map<string, LockRule>();
  for (const [lock, bits] of frozen) {
    const { lockWord, bit } = place(lock);
    const key = `${lockWord} ${bits}`;
    rules.set(key, { lockWord, bits, mask: ((rules.get(key)?.mask ?? 0) | (1 << bit)) >>> 0 });
  }
  return [...rules.values()];
}
