import { DeclarationError } from '../declaration-error.ts';
import { ro, rw, w1c, wo } from '../field.ts';
import { reg16, reg32 } from '../register.ts';
import { type CapabilityPlace, type ExtendedCapability, placeOf } from './capability.ts';
import { ExtendedCapabilityId } from './capability-ids.ts';

/** Options of {@link pageRequest}. */
export interface PageRequestOptions extends CapabilityPlace {
  /** Requests that the function can have outstanding: 1 to 2^32 - 1. */
  readonly capacity: number;
  /** Whether responses to requests with a PASID have to carry it; true when absent. */
  readonly responsePasidRequired?: boolean;
}

/** Type of the registers of {@link pageRequest}. */
export type PageRequestRegisters = ReturnType<typeof registers>;

function registers({ capacity, responsePasidRequired = true }: PageRequestOptions) {
  return {
    CONTROL: reg16(0x04, {
      enable: rw(0),
      /** Reads 0; writing 1 while disabled gives all outstanding requests back. */
      reset: wo(1),
    }),
    STATUS: reg16(
      0x06,
      {
        responseFailure: w1c(0),
        unexpectedGroupIndex: w1c(1),
        /** Nothing is outstanding and nothing more is asked for. */
        stopped: ro(8),
        responsePasidRequired: ro(15),
      },
      { reset: (1 << 8) | (responsePasidRequired ? 1 << 15 : 0) },
    ),
    CAPACITY: reg32(0x08, { requests: ro(31, 0) }, { reset: capacity, constant: true }),
    /** Requests that the guest allows, 1 to the capacity. */
    ALLOCATION: reg32(0x0c, { requests: rw(31, 0) }),
  } as const;
}

/**
 * Page Request Interface (Base Specification 5.0, 10.5.2): 16 bytes, named `PRI`. Declaration only: the device that
 * asks for pages hooks `PRI.CONTROL`, and keeps `STATUS.stopped`.
 *
 * @throws {@link DeclarationError} if the capacity is none of 1 to 2^32 - 1
 */
export function pageRequest(options: PageRequestOptions): ExtendedCapability<'PRI', PageRequestRegisters> {
  const { capacity } = options;
  if (!Number.isInteger(capacity) || capacity < 1 || capacity >= 2 ** 32)
    throw new DeclarationError(`pageRequest: capacity ${capacity}, expected 1 to 2^32 - 1`);
  return {
    name: 'PRI',
    id: ExtendedCapabilityId.pageRequest,
    version: 1,
    size: 16,
    registers: registers(options),
    ...placeOf(options),
  };
}
