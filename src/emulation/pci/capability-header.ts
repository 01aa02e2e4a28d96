import { ro } from '../field.ts';
import { reg32, reg8 } from '../register.ts';
import type { Capability } from './capability.ts';

function standardHeader(id: number, next: number) {
  return {
    ID: reg8(0x00, { id: ro(7, 0) }, { reset: id, constant: true }),
    NEXT: reg8(0x01, { offset: ro(7, 0) }, { reset: next, constant: true }),
  } as const;
}

/** The header of an extended capability; id and version 0 are those of a null capability. */
export function extendedHeader(id: number, version: number, next: number) {
  return {
    HEADER: reg32(
      0x00,
      { id: ro(15, 0), version: ro(19, 16), next: ro(31, 20) },
      { reset: id + version * 2 ** 16 + next * 2 ** 20, constant: true },
    ),
  } as const;
}

/** The header registers of a capability. */
export type CapabilityHeader<C extends Capability> = C extends { readonly version: number }
  ? ReturnType<typeof extendedHeader>
  : ReturnType<typeof standardHeader>;

/** Declares the header of a capability that is followed by the one at `next`, 0 for none. */
export function headerOf(capability: Capability, next: number): CapabilityHeader<Capability> {
  const { id, version } = capability;
  return version === undefined ? standardHeader(id, next) : extendedHeader(id, version, next);
}
