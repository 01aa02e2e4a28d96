import { DeclarationError } from '../declaration-error.ts';
import { type Field, ro, rw } from '../field.ts';
import { reg16, reg32 } from '../register.ts';
import { type CapabilityPlace, placeOf, type StandardCapability } from './capability.ts';
import { CapabilityId } from './capability-ids.ts';

/** Options of {@link msi}. */
export interface MsiOptions<A extends boolean = boolean, M extends boolean = boolean> extends CapabilityPlace {
  /** Vectors that the function asks for. */
  readonly vectors: 1 | 2 | 4 | 8 | 16 | 32;
  /** Whether the message address has 64 bits; true when absent. */
  readonly address64?: A;
  /** Whether vectors can be masked one by one; true when absent. */
  readonly perVectorMasking?: M;
}

type BaseRegisters = ReturnType<typeof base>;
type AddressRegisters = ReturnType<typeof upperAddress>;
type MaskRegisters = ReturnType<typeof masks>;

/** Type of the registers of {@link msi}. */
export type MsiCapabilityRegisters<A extends boolean = boolean, M extends boolean = boolean> = BaseRegisters &
  (A extends true ? AddressRegisters : unknown) &
  (M extends true ? MaskRegisters : unknown);

function base(vectors: number, address64: boolean, masked: boolean) {
  const reset = (Math.log2(vectors) << 1) | (address64 ? 1 << 7 : 0) | (masked ? 1 << 8 : 0);
  return {
    CONTROL: reg16(
      0x02,
      {
        enable: rw(0),
        /** Vectors that the function asks for: 2 to this power. */
        multipleMessageCapable: ro(3, 1),
        /** Vectors that the guest gave: 2 to this power. */
        multipleMessageEnable: rw(6, 4),
        address64: ro(7),
        perVectorMasking: ro(8),
      },
      { reset },
    ),
    ADDRESS_LOW: reg32(0x04, { address: rw(31, 2) }),
    DATA: reg16(address64 ? 0x0c : 0x08, { data: rw(15, 0) }),
  } as const;
}

function upperAddress() {
  return { ADDRESS_HIGH: reg32(0x08, { address: rw(31, 0) }) } as const;
}

function masks(vectors: number, address64: boolean) {
  const offset = address64 ? 0x10 : 0x0c;
  // The number of vectors decides the bits, the value is a number all the same.
  const bits = <A extends 'ro' | 'rw'>(field: Field<A, number | bigint, never>) => field as Field<A, number, never>;
  return {
    /** A bit per vector. */
    MASK: reg32(offset, { vectors: bits(rw(vectors - 1, 0)) }),
    /** A bit per vector that was raised while it was masked; set by the thread that raises it, hence shared. */
    PENDING: reg32(offset + 4, { vectors: bits(ro(vectors - 1, 0)) }, { shared: true }),
  } as const;
}

/**
 * MSI (PCI Local Bus Specification 3.0, 6.8.1): 10 to 24 bytes, named `MSI`. `PciFunction` keeps the guest from
 * enabling more vectors than there are.
 *
 * @throws {@link DeclarationError} if the number of vectors is none of 1, 2, 4, 8, 16, 32
 */
export function msi<const A extends boolean = true, const M extends boolean = true>(
  options: MsiOptions<A, M>,
): StandardCapability<'MSI', MsiCapabilityRegisters<A, M>> {
  const { vectors, address64 = true, perVectorMasking = true } = options;
  if (![1, 2, 4, 8, 16, 32].includes(vectors))
    throw new DeclarationError(`msi: ${vectors} vectors, expected 1, 2, 4, 8, 16 or 32`);
  const registers = {
    ...base(vectors, address64, perVectorMasking),
    ...(address64 ? upperAddress() : {}),
    ...(perVectorMasking ? masks(vectors, address64) : {}),
  };
  return {
    name: 'MSI',
    id: CapabilityId.msi,
    size: (perVectorMasking ? 20 : 10) + (address64 ? 4 : 0),
    registers: registers as unknown as MsiCapabilityRegisters<A, M>,
    ...placeOf(options),
  };
}
