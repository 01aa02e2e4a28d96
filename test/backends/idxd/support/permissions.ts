import { GENCFG, GENCTRL, grpcfg, msixPermission, wqcfg } from './offsets.ts';

/** When the guest may write a field. DSA specification 9.2.24, 9.2.25. */
export type When = 'always' | 'device disabled' | 'queue disabled' | 'never';

/** Register offset, bits, and the permission of a configurable device; those of queue 0 and group 0. */
export const fields: readonly (readonly [name: string, offset: number, bits: bigint, when: When])[] = [
  // First: any write that reaches the register, also one of its neighbour with it, sets the lock of this field anew.
  ['WQCFG occupancy limit', wqcfg(0) + 20, 0xffffn, 'always'],
  ['WQCFG size', wqcfg(0), 0xffffn, 'device disabled'],
  ['WQCFG threshold', wqcfg(0) + 4, 0xffffn, 'always'],
  ['WQCFG mode', wqcfg(0) + 8, 1n, 'queue disabled'],
  ['WQCFG block on fault', wqcfg(0) + 8, 1n << 1n, 'queue disabled'],
  ['WQCFG ATS disable', wqcfg(0) + 8, 1n << 2n, 'queue disabled'],
  ['WQCFG PRS disable', wqcfg(0) + 8, 1n << 3n, 'queue disabled'],
  ['WQCFG priority', wqcfg(0) + 8, 0xf0n, 'queue disabled'],
  ['WQCFG PASID', wqcfg(0) + 8, 0xfffff00n, 'queue disabled'],
  ['WQCFG PASID enable', wqcfg(0) + 8, 1n << 28n, 'queue disabled'],
  ['WQCFG privileged', wqcfg(0) + 8, 1n << 29n, 'queue disabled'],
  ['WQCFG largest transfer', wqcfg(0) + 12, 0x1fn, 'queue disabled'],
  ['WQCFG largest batch', wqcfg(0) + 12, 0xfn << 5n, 'queue disabled'],
  ['WQCFG occupancy handle', wqcfg(0) + 16, 0xffffn, 'queue disabled'],
  ['WQCFG occupancy table', wqcfg(0) + 16, 1n << 16n, 'queue disabled'],
  ['WQCFG occupancy interrupt', wqcfg(0) + 20, 1n << 16n, 'always'],
  ['WQCFG occupancy', wqcfg(0) + 24, 0xffffn, 'never'],
  ['WQCFG mode support, state', wqcfg(0) + 24, 7n << 29n, 'never'],
  ['WQCFG operations', wqcfg(0) + 32, 0xffff_ffff_ffff_ffffn, 'queue disabled'],
  ['WQCFG operations, last word', wqcfg(0) + 56, 0xffff_ffff_ffff_ffffn, 'queue disabled'],
  ['GRPCFG queues', grpcfg(0), 0xffff_ffff_ffff_ffffn, 'device disabled'],
  ['GRPCFG queues, last word', grpcfg(0) + 24, 0xffff_ffff_ffff_ffffn, 'device disabled'],
  ['GRPCFG engines', grpcfg(0) + 32, 0xffff_ffff_ffff_ffffn, 'device disabled'],
  ['GRPCFG flags', grpcfg(0) + 40, 0x0ff0_ffbfn, 'device disabled'],
  ['GENCFG', GENCFG, 0x30ffn, 'device disabled'],
];

/** What GENCAP bit 31 does not cover. */
export const unlocked: typeof fields = [
  ['GENCTRL', GENCTRL, 3n, 'always'],
  ['MSIXPERM', msixPermission(1), 0xffff_f00cn, 'always'],
];

/** What matters for the permissions of queue 0. */
export const phases = ['device disabled', 'queue disabled', 'queue enabled'] as const;
export type Phase = (typeof phases)[number] | 'reset active';

/** Whether a field of a configurable device can be written. */
export function allowed(when: When, phase: Phase): boolean {
  if (phase === 'reset active') return false;
  if (when === 'always') return true;
  if (when === 'device disabled') return phase === 'device disabled';
  return when === 'queue disabled' && phase !== 'queue enabled';
}

/** BAR0 from the guest's side. */
export interface Accessible {
  read64(offset: number): bigint;
  write64(offset: number, value: bigint): void;
}

/**
 * The bits of the field that can be changed, found by writing their complement; every other bit of the register stays.
 */
export function writable(device: Accessible, offset: number, bits: bigint): bigint {
  const before = device.read64(offset);
  device.write64(offset, before ^ bits);
  return (device.read64(offset) ^ before) & 0xffff_ffff_ffff_ffffn;
}
