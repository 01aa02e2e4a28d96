import { PLANES_OF_ACCESS, type Plane } from './access.ts';
import { bitMask, high32, low32 } from './bits.ts';
import type { LaidOut, Layout } from './layout.ts';
import type { ResetKind } from './reset-kind.ts';
import { NO_STAGE, STAGE_SIZE } from './table-format.ts';
import { bytesOf } from './validate.ts';

/** A lock rule in the interpreter's form. */
interface EntryRule {
  /** Index of the lock word in the region's memory seen as 32-bit words. */
  readonly word: number;
  readonly mask: number;
  readonly bitsLow: number;
  readonly bitsHigh: number;
}

/**
 * A register as the interpreter runs it. Masks are signed 32-bit halves: such numbers need no allocation.
 */
export interface Entry {
  readonly laidOut: LaidOut;
  /** Position in the table, by ascending offset. */
  readonly position: number;
  readonly offset: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly size: number;
  readonly shared: boolean;
  readonly commitLast: boolean;
  /** Bit n: a write may carry n bytes. 0: any number. */
  readonly widths: number;
  readonly trapRead: boolean;
  readonly trapWrite: boolean;
  readonly rules: readonly EntryRule[];
  /** Index of the staging slot in the memory seen as 32-bit words; -1 for none. */
  readonly stage: number;
  readonly readLow: number;
  readonly readHigh: number;
  readonly writeLow: number;
  readonly writeHigh: number;
  readonly w1cLow: number;
  readonly w1cHigh: number;
  readonly w1sLow: number;
  readonly w1sHigh: number;
  readonly w0cLow: number;
  readonly w0cHigh: number;
  readonly rcLow: number;
  readonly rcHigh: number;
  readonly resetLow: number;
  readonly resetHigh: number;
  /** What each kind of reset gives its reset value: all of it, nothing, or the bits of some fields. */
  readonly resets: Readonly<Record<ResetKind, ResetMask>>;
}

/** Bits that a reset changes, in signed halves. */
interface ResetMask {
  readonly low: number;
  readonly high: number;
}

/** The bits of a register that follow a plane's rule. */
export function planeBits(laidOut: LaidOut, plane: Plane): bigint {
  let bits = 0n;
  for (const { access, msb, lsb } of Object.values(laidOut.register.fields))
    if (PLANES_OF_ACCESS[access].includes(plane)) bits |= bitMask(msb, lsb);
  return bits;
}

/** Builds the entry of a register. */
export function entryOf(
  laidOut: LaidOut,
  position: number,
  layout: Layout,
  trapRead: boolean,
  trapWrite: boolean,
): Entry {
  const { options } = laidOut.register;
  const read = planeBits(laidOut, 'read');
  const write = planeBits(laidOut, 'write');
  const w1c = planeBits(laidOut, 'w1c');
  const w1s = planeBits(laidOut, 'w1s');
  const w0c = planeBits(laidOut, 'w0c');
  const rc = planeBits(laidOut, 'rc');
  const reset = BigInt(options.reset ?? 0);
  return {
    laidOut,
    position,
    offset: laidOut.offset,
    size: bytesOf(laidOut.register),
    shared: options.shared === true,
    commitLast: options.commit === 'last',
    widths: (options.widths ?? []).reduce((bits, width) => bits | (1 << width), 0),
    trapRead,
    trapWrite,
    rules: laidOut.rules.map(({ lockWord, mask, bits }) => ({
      word: layout.lockOffset / 4 + lockWord,
      mask: mask | 0,
      bitsLow: low32(bits),
      bitsHigh: high32(bits),
    })),
    stage: laidOut.stageIndex === NO_STAGE ? -1 : (layout.stageOffset + STAGE_SIZE * laidOut.stageIndex) / 4,
    readLow: low32(read),
    readHigh: high32(read),
    writeLow: low32(write),
    writeHigh: high32(write),
    w1cLow: low32(w1c),
    w1cHigh: high32(w1c),
    w1sLow: low32(w1s),
    w1sHigh: high32(w1s),
    w0cLow: low32(w0c),
    w0cHigh: high32(w0c),
    rcLow: low32(rc),
    rcHigh: high32(rc),
    resetLow: low32(reset),
    resetHigh: high32(reset),
    resets: {
      cold: resetMask(laidOut, 'cold'),
      function: resetMask(laidOut, 'function'),
      software: resetMask(laidOut, 'software'),
    },
  };
}

function resetMask({ register }: LaidOut, kind: ResetKind): ResetMask {
  const { constant, survives = [] } = register.options;
  if (constant === true || survives.includes(kind)) return { low: 0, high: 0 };
  let kept = 0n;
  for (const field of Object.values(register.fields))
    if (field.survives.includes(kind)) kept |= bitMask(field.msb, field.lsb);
  return { low: ~low32(kept), high: ~high32(kept) };
}
