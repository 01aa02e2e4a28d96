import { bitMask, hex } from './bits.ts';
import { DeclarationError } from './declaration-error.ts';
import type { Field } from './field.ts';
import type { Register, RegisterOptions } from './register.ts';
import { RESET_KINDS, type ResetKind } from './reset-kind.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws what {@link registerBlock} documents about one declaration. */
export function validateRegister(path: string, register: Register): void {
  let declared = 0n;
  for (const [name, field] of Object.entries(register.fields)) {
    const fieldPath = `${path}.${name}`;
    if (!NAME.test(name))
      throw new DeclarationError(`${fieldPath}: "${name}" is not a name (letters, digits and _ only)`);
    if (name === 'value') throw new DeclarationError(`${fieldPath}: "value" is the name of the whole register's value`);
    validateField(fieldPath, field, register.width);
    const mask = bitMask(field.msb, field.lsb);
    if ((declared & mask) !== 0n) throw new DeclarationError(`${fieldPath}: bits ${span(field)} overlap another field`);
    declared |= mask;
  }
  validateReset(path, register.options.reset ?? 0, declared);
  validateOptions(path, register.options, register.width / 8);
  for (const lock of locksOf(register))
    if (!NAME.test(lock))
      throw new DeclarationError(`${path}: lock "${lock}" is not a name (letters, digits and _ only)`);
}

function validateField(path: string, field: Field, width: number): void {
  const { msb, lsb, values } = field;
  validateSurvives(path, field.survives);
  if (!Number.isInteger(msb) || !Number.isInteger(lsb) || lsb < 0 || msb < lsb || msb >= width)
    throw new DeclarationError(`${path}: bits ${span(field)} are not inside ${width - 1}:0`);
  if (values === undefined) return;
  if (msb - lsb >= 32)
    throw new DeclarationError(`${path}: bits ${span(field)} are more than the 32 that named values may have`);
  const limit = 2 ** (msb - lsb + 1) - 1;
  for (const [name, value] of Object.entries(values))
    if (!Number.isInteger(value) || value < 0 || value > limit)
      throw new DeclarationError(`${path}: value ${name} = ${value} does not fit in bits ${span(field)}`);
}

function validateReset(path: string, reset: number | bigint, declared: bigint): void {
  if (typeof reset === 'number' && !Number.isSafeInteger(reset))
    throw new DeclarationError(`${path}: reset ${reset} is not an integer that a number holds exactly; use a bigint`);
  const value = BigInt(reset);
  if (value < 0n || (value & ~declared) !== 0n)
    throw new DeclarationError(`${path}: reset ${hex(value)} sets bits of no field (fields cover ${hex(declared)})`);
}

function validateOptions(path: string, options: RegisterOptions, bytes: number): void {
  const { widths, commit, shared, survives, constant } = options;
  if (widths !== undefined) {
    if (widths.length === 0) throw new DeclarationError(`${path}: widths allow no write; leave them out or name one`);
    for (const width of widths)
      if (![1, 2, 4, 8].includes(width) || width > bytes)
        throw new DeclarationError(`${path}: width ${width} is not 1, 2, 4 or 8 within the register's ${bytes} bytes`);
  }
  if (commit === 'last' && bytes === 1) throw new DeclarationError(`${path}: commit 'last' needs more than one byte`);
  if (shared === true && bytes < 4)
    throw new DeclarationError(`${path}: a shared register has 4 or 8 bytes, not ${bytes}`);
  validateSurvives(path, survives ?? []);
  if (constant === true && survives !== undefined)
    throw new DeclarationError(`${path}: constant survives every reset; survives must be left out`);
}

function validateSurvives(path: string, kinds: readonly ResetKind[]): void {
  for (const kind of kinds)
    if (!RESET_KINDS.includes(kind))
      throw new DeclarationError(`${path}: "${kind}" is not one of ${RESET_KINDS.join(', ')}`);
}

/** Locks of a register and of its fields, each once. */
export function locksOf(register: Register): ReadonlySet<string> {
  const { lockedBy } = register.options;
  const names = new Set(typeof lockedBy === 'string' ? [lockedBy] : (lockedBy ?? []));
  for (const field of Object.values(register.fields)) for (const lock of field.locks) names.add(lock);
  return names;
}

function span({ msb, lsb }: Field): string {
  return msb === lsb ? `${msb}` : `${msb}:${lsb}`;
}
