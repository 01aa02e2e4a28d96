import { DeclarationError } from '../declaration-error.ts';
import { ro, rw, type Field } from '../field.ts';
import { reg32, type Register } from '../register.ts';

/** An expansion ROM. */
export interface ExpansionRom {
  /** Bytes: a power of two from 2 KiB to 16 MiB. */
  readonly size: number;
}

/** The expansion ROM base address register; where its address begins depends on the size, so only `value` tells it. */
export type ExpansionRomRegister = Readonly<
  Record<'EXPANSION_ROM', Register<32, { readonly enable: Field<'rw' | 'ro', boolean, never> }, never>>
>;

const MINIMUM = 2 ** 11;
const MAXIMUM = 2 ** 24;

/**
 * Declares the expansion ROM's base address register (PCI Local Bus Specification 3.0, 6.2.5.2); all zeros without a ROM.
 *
 * @throws {@link DeclarationError} if the size is no power of two from 2 KiB to 16 MiB
 */
export function expansionRomRegister(rom: ExpansionRom | undefined): ExpansionRomRegister {
  if (rom === undefined) return { EXPANSION_ROM: reg32(0x30, { enable: ro(0) }) };
  const order = Math.log2(rom.size);
  if (!Number.isInteger(order) || rom.size < MINIMUM || rom.size > MAXIMUM)
    throw new DeclarationError(`configSpace: ROM of ${rom.size} bytes, expected a power of two from 2 KiB to 16 MiB`);
  return { EXPANSION_ROM: reg32(0x30, { enable: rw(0), address: rw(31, order) }) };
}
