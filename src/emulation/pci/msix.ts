import { DeclarationError } from '../declaration-error.ts';
import { ro, rw } from '../field.ts';
import { reg16, reg32 } from '../register.ts';
import type { BarNumber } from './bar.ts';
import { type CapabilityPlace, placeOf, type StandardCapability } from './capability.ts';
import { CapabilityId } from './capability-ids.ts';

/** Where a part of MSI-X lies. */
export interface MsixPlace {
  readonly bar: BarNumber;
  /** Byte offset in the BAR, a multiple of 8. */
  readonly offset: number;
}

/** Vectors of a function and the places of table and pending bits. The same object serves {@link msix} and {@link msixRegisters}. */
export interface MsixOptions {
  /** 1 to 2,048. */
  readonly vectors: number;
  /** 16 bytes per vector. */
  readonly table: MsixPlace;
  /** 8 bytes per 64 vectors. */
  readonly pba: MsixPlace;
}

/** Type of the registers of {@link msix}. */
export type MsixCapabilityRegisters = ReturnType<typeof registers>;

function registers({ vectors, table, pba }: MsixOptions) {
  return {
    CONTROL: reg16(0x02, { tableSize: ro(10, 0), functionMask: rw(14), enable: rw(15) }, { reset: vectors - 1 }),
    TABLE: reg32(0x04, { bar: ro(2, 0), offset: ro(31, 3) }, { reset: table.offset + table.bar, constant: true }),
    PBA: reg32(0x08, { bar: ro(2, 0), offset: ro(31, 3) }, { reset: pba.offset + pba.bar, constant: true }),
  } as const;
}

/**
 * MSI-X (PCI Local Bus Specification 3.0, 6.8.2): 12 bytes, named `MSIX`. Its table and pending bits are declared with
 * the BAR that holds them, see {@link msixRegisters}.
 *
 * @throws {@link DeclarationError} for vectors or offsets out of range
 */
export function msix(options: MsixOptions & CapabilityPlace): StandardCapability<'MSIX', MsixCapabilityRegisters> {
  checkMsix(options);
  return {
    name: 'MSIX',
    id: CapabilityId.msix,
    size: 12,
    registers: registers(options),
    ...placeOf(options),
  };
}

/** Bytes of table and pending bits. */
export function msixSizes(vectors: number): { readonly table: number; readonly pba: number } {
  return { table: 16 * vectors, pba: 8 * Math.ceil(vectors / 64) };
}

/** @throws {@link DeclarationError} for vectors or offsets out of range, or parts that overlap */
export function checkMsix({ vectors, table, pba }: MsixOptions): void {
  if (!Number.isInteger(vectors) || vectors < 1 || vectors > 2048)
    throw new DeclarationError(`msix: ${vectors} vectors, expected 1 to 2048`);
  for (const [name, { bar, offset }] of [['table', table] as const, ['pba', pba] as const]) {
    if (!Number.isInteger(bar) || bar < 0 || bar > 5)
      throw new DeclarationError(`msix: ${name} in BAR ${bar}, expected 0 to 5`);
    if (!Number.isInteger(offset) || offset < 0 || offset % 8 !== 0 || offset >= 2 ** 32)
      throw new DeclarationError(`msix: ${name} offset ${offset} is not a multiple of 8 below 2^32`);
  }
  const sizes = msixSizes(vectors);
  if (table.bar === pba.bar && table.offset < pba.offset + sizes.pba && pba.offset < table.offset + sizes.table)
    throw new DeclarationError(`msix: table and pending bits overlap in BAR ${table.bar}`);
}
