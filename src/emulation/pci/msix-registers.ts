import { array, type RegisterArray } from '../array.ts';
import { DeclarationError } from '../declaration-error.ts';
import { ro, rw } from '../field.ts';
import { reg32, reg64 } from '../register.ts';
import { checkMsix, type MsixOptions, msixSizes } from './msix.ts';

function tableEntry() {
  const survives = ['software'] as const;
  return {
    ADDRESS_LOW: reg32(0x00, { address: rw(31, 2) }, { survives }),
    ADDRESS_HIGH: reg32(0x04, { address: rw(31, 0) }, { survives }),
    DATA: reg32(0x08, { data: rw(31, 0) }, { survives }),
    CONTROL: reg32(0x0c, { masked: rw(0) }, { reset: 1, survives }),
  } as const;
}

function pendingWord() {
  return { PENDING: reg64(0x00, { pending: ro(63, 0) }, { shared: true, survives: ['software'] }) } as const;
}

/** Type of the registers of {@link msixRegisters}. */
export interface MsixRegisters {
  /** One entry per vector: message address and data, and the vector's mask. */
  readonly MSIX_TABLE: RegisterArray<ReturnType<typeof tableEntry>, never>;
  /** One bit per vector, 64 per word; set by the thread that raises the vector, hence shared. */
  readonly MSIX_PBA: RegisterArray<ReturnType<typeof pendingWord>, never>;
}

/**
 * The MSI-X table and pending bits (PCI Local Bus Specification 3.0, 6.8.2.3 ff.), to be spread into the block of the
 * BAR that holds both. A device's own reset leaves them alone; cold and function reset mask all vectors.
 *
 * @throws {@link DeclarationError} for vectors or offsets out of range, or if the two lie in different BARs: then each block declares its own with {@link msixTable} and {@link msixPending}
 */
export function msixRegisters(options: MsixOptions): MsixRegisters {
  checkMsix(options);
  if (options.table.bar !== options.pba.bar)
    throw new DeclarationError(
      `msixRegisters: table in BAR ${options.table.bar}, pending bits in BAR ${options.pba.bar}; use msixTable and msixPending`,
    );
  return { ...msixTable(options), ...msixPending(options) };
}

/**
 * Only the table of {@link msixRegisters}.
 * @throws {@link DeclarationError} for vectors or offsets out of range.
 */
export function msixTable(options: MsixOptions): Pick<MsixRegisters, 'MSIX_TABLE'> {
  checkMsix(options);
  return { MSIX_TABLE: array(options.table.offset, 16, options.vectors, tableEntry()) };
}

/**
 * Only the pending bits of {@link msixRegisters}.
 * @throws {@link DeclarationError} for vectors or offsets out of range.
 */
export function msixPending(options: MsixOptions): Pick<MsixRegisters, 'MSIX_PBA'> {
  checkMsix(options);
  return { MSIX_PBA: array(options.pba.offset, 8, msixSizes(options.vectors).pba / 8, pendingWord()) };
}
