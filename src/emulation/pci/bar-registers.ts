import { DeclarationError } from '../declaration-error.ts';
import { type Fields, reg32, type Register } from '../register.ts';
import { type Field, ro, rw } from '../field.ts';
import type { Bar, BarNumber, Bars } from './bar.ts';

/** No field by name. An index signature would promise fields of any name, an interface is no `Fields`. */
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type
type NoFields = Readonly<Record<never, Field>>;

/** The six base address registers; what fields one has depends on its BAR, so only `value` is typed. */
export type BarRegisters = Readonly<Record<`BAR${BarNumber}`, Register<32, NoFields, never>>>;

/** Byte offset of BAR 0. */
const BAR_OFFSET = 0x10;
/** Type of a memory BAR with a 64-bit address. */
const TYPE_64 = 2;

/**
 * Declares the BARs. The address bits below the size are read-only zeros, which is all that sizing needs.
 *
 * @throws {@link DeclarationError} if a number is none of 0 to 5, or a 64-bit BAR has no register, or no free one, above it
 */
export function barRegisters(bars: Bars): BarRegisters {
  for (const number of Object.keys(bars))
    if (!/^[0-5]$/.test(number)) throw new DeclarationError(`configSpace: there is no BAR ${number}, expected 0 to 5`);
  const registers: Record<string, Register> = {};
  for (const number of [0, 1, 2, 3, 4, 5] as const) {
    const below = number > 0 ? bars[(number - 1) as BarNumber] : undefined;
    const bar = bars[number];
    if (bar?.width === 64 && number === 5)
      throw new DeclarationError('configSpace: BAR 5 has no register above it for 64 bits');
    if (bar !== undefined && below?.width === 64)
      throw new DeclarationError(
        `configSpace: BAR ${number} is the upper half of BAR ${number - 1}, which has 64 bits`,
      );
    registers[`BAR${number}`] = registerOf(BAR_OFFSET + 4 * number, bar, below);
  }
  return registers as unknown as BarRegisters;
}

function registerOf(offset: number, bar: Bar | undefined, below: Bar | undefined): Register {
  if (bar?.kind === 'io') return reg32(offset, { io: ro(0), ...address(Math.log2(bar.size)) }, { reset: 1 });
  if (bar !== undefined) {
    const type = bar.width === 64 ? TYPE_64 : 0;
    const reset = (type << 1) | (bar.prefetchable ? 1 << 3 : 0);
    return reg32(
      offset,
      { io: ro(0), type: ro(2, 1), prefetchable: ro(3), ...address(Math.log2(bar.size)) },
      { reset },
    );
  }
  if (below?.width === 64) return reg32(offset, address(Math.max(0, Math.log2(below.size) - 32)));
  return reg32(offset, {});
}

/** Address bits from `lsb` on; none where the size covers the whole register. */
function address(lsb: number): Fields {
  return lsb > 31 ? {} : { address: rw(31, lsb) };
}
