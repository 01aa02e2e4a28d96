/**
 * Registers and PCI functions: declarations, their meaning for guest and device, and the table that C++ serves them from.
 *
 * @packageDocumentation
 */

// --- Declaring registers ---

export { registerBlock, type RegisterBlock, type Registers } from './block.ts';
export {
  type AccessWidth,
  type Fields,
  reg16,
  reg32,
  reg64,
  reg8,
  type Register,
  type RegisterDeclarer,
  type RegisterOptions,
  type Width,
} from './register.ts';
export {
  type Field,
  type FieldDeclarer,
  type FieldValue,
  type FieldValues,
  lockedBy,
  none,
  rc,
  ro,
  rw,
  surviving,
  w0c,
  w1c,
  w1s,
  wo,
} from './field.ts';
export { array, type ArrayOptions, type Element, type RegisterArray } from './array.ts';
export { group, type RegisterGroup } from './group.ts';
export type { Access } from './access.ts';
export type { ResetKind } from './reset-kind.ts';
export { DeclarationError } from './declaration-error.ts';

// --- What the guest's accesses do, and what the device sees ---

export type { FieldChanges, Fieldset, Hooks, ReadAccess, RegisterHooks, WriteAccess } from './hooks.ts';
export type { FieldStates, Locks, LockStates, RegisterFile, RegisterValue, RegisterView } from './infer.ts';
export { RegisterRegion, type RegionCounters, type RegionOptions } from './region.ts';

// --- PCI functions ---

export * from './pci/index.ts';

// --- What is read from a declaration ---

export { describe, type FieldDescription, type RegisterDescription } from './describe.ts';
export { formatDescription } from './format-description.ts';
export { resetValue } from './reset-value.ts';
export { compile, type CompiledTable } from './compile.ts';

// --- For who tells an engine which registers it changes (mdev-user/engine) ---

export { offsetOf, type RegisterAt, type RegisterPath } from './paths.ts';
export { lockEffect, type RegisterEffect, wordEffect } from './effects.ts';
