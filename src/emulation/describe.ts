import type { Access } from './access.ts';
import { high32, join64, low32 } from './bits.ts';
import type { RegisterBlock } from './block.ts';
import { codecOf } from './field-codec.ts';
import type { FieldValue, FieldValues } from './field.ts';
import { layoutOf } from './layout.ts';
import type { RegisterRegion } from './region.ts';
import type { AccessWidth, Width } from './register.ts';
import type { ResetKind } from './reset-kind.ts';
import { RegisterStorage } from './storage.ts';

/** One field, as {@link describe} tells it. */
export interface FieldDescription {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
  readonly access: Access;
  /** Names of values, if it has any. */
  readonly values: FieldValues | undefined;
  /** Locks that freeze it, those of its register included. */
  readonly locks: readonly string[];
  /** Resets that leave it alone although its register does not survive them as a whole. */
  readonly survives: readonly ResetKind[];
  readonly reset: FieldValue;
  /** Value in the region, if one was given. */
  readonly current: FieldValue | undefined;
}

/** One register, as {@link describe} tells it. Plain data. */
export interface RegisterDescription {
  /** `CMD`, `WQCFG[3].MODE`, `PCIE.DEVCTL`. */
  readonly path: string;
  /** Byte offset. */
  readonly offset: number;
  /** Bits. */
  readonly width: Width;
  /** From high to low bits. */
  readonly fields: readonly FieldDescription[];
  /** Value after reset. */
  readonly reset: bigint;
  /** Value in the region, if one was given. */
  readonly current: bigint | undefined;
  readonly shared: boolean;
  readonly commit: 'last' | undefined;
  /** Bytes that a write may carry; any when empty. */
  readonly widths: readonly AccessWidth[];
  /** Resets that leave it alone. */
  readonly survives: readonly ResetKind[];
  readonly constant: boolean;
}

/**
 * The registers of a block as plain data, by ascending offset: for documentation, dumps and comparisons.
 *
 * @param region - whose values to tell, without the guest's rules and without hooks
 */
export function describe<B extends RegisterBlock>(
  block: B,
  region?: RegisterRegion<B>,
): readonly RegisterDescription[] {
  const currentAt = region === undefined ? () => undefined : valuesOf(region);
  return layoutOf(block).registers.map(({ path, offset, register }, position): RegisterDescription => {
    const { options, width } = register;
    const { lockedBy } = options;
    const ownLocks = typeof lockedBy === 'string' ? [lockedBy] : (lockedBy ?? []);
    const reset = BigInt(options.reset ?? 0);
    const current = currentAt(position);
    const fields = Object.entries(register.fields).map(([name, field]): FieldDescription => {
      const { msb, lsb, access, values, locks, survives } = field;
      const decode = (value: bigint): FieldValue => codecOf(field).read(low32(value), high32(value));
      return {
        name,
        msb,
        lsb,
        access,
        values,
        locks: [...new Set([...ownLocks, ...locks])],
        survives,
        reset: decode(reset),
        current: current === undefined ? undefined : decode(current),
      };
    });
    return {
      path,
      offset,
      width,
      fields: fields.sort((a, b) => b.msb - a.msb),
      reset,
      current,
      shared: options.shared === true,
      commit: options.commit,
      widths: options.widths ?? [],
      survives: options.survives ?? [],
      constant: options.constant === true,
    };
  });
}

/** Whole values of a region by position in the table. */
function valuesOf(region: RegisterRegion): (position: number) => bigint | undefined {
  const storage = new RegisterStorage(region.memory, region.table.memorySize);
  const { entries } = region.table['~interpreter'];
  return (position) => {
    const entry = entries[position];
    if (entry === undefined) return undefined;
    storage.load(entry);
    return join64(storage.low, storage.high);
  };
}
