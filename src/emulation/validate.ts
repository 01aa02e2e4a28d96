import type { RegisterArray } from './array.ts';
import { hex } from './bits.ts';
import type { RegisterBlock, Registers } from './block.ts';
import { DeclarationError } from './declaration-error.ts';
import { MAX_LOCKS, MAX_PAGES, MAX_REGISTERS, PAGE_SIZE } from './limits.ts';
import { placements } from './placement.ts';
import type { Register } from './register.ts';
import { locksOf, validateRegister } from './validate-register.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws what {@link registerBlock} documents. */
export function validateBlock(block: RegisterBlock): void {
  const limit = MAX_PAGES * PAGE_SIZE;
  if (!Number.isInteger(block.size) || block.size < 1 || block.size > limit)
    throw new DeclarationError(`registerBlock: size ${block.size} is not an integer from 1 to ${limit}`);
  const locks = new Set<string>();
  const count = validateRegisters(block.registers, '', locks);
  if (count > MAX_REGISTERS)
    throw new DeclarationError(`registerBlock: ${count} registers, at most ${MAX_REGISTERS} allowed`);
  if (locks.size > MAX_LOCKS)
    throw new DeclarationError(
      `registerBlock: ${locks.size} locks (${[...locks].join(', ')}), at most ${MAX_LOCKS} allowed`,
    );
  validatePlaces(block);
}

/** Checks declarations one by one, collects the block's locks and returns the number of registers. */
function validateRegisters(registers: Registers, prefix: string, locks: Set<string>): number {
  let count = 0;
  for (const [name, item] of Object.entries(registers)) {
    const path = prefix + name;
    validateName(path, name);
    validateOffset(path, item.offset);
    if (item.kind === 'register') {
      validateRegister(path, item);
      for (const lock of locksOf(item)) locks.add(lock);
      count += 1;
    } else if (item.kind === 'group') {
      count += validateRegisters(item.registers, `${path}.`, locks);
    } else {
      count += validateArray(path, item, locks);
    }
  }
  return count;
}

function validateArray(path: string, array: RegisterArray, locks: Set<string>): number {
  if (!Number.isInteger(array.count) || array.count < 0 || array.count > MAX_REGISTERS)
    throw new DeclarationError(`${path}: count ${array.count} is not an integer from 0 to ${MAX_REGISTERS}`);
  if (!Number.isInteger(array.stride) || array.stride < 1)
    throw new DeclarationError(`${path}: stride ${array.stride} is not a positive integer`);
  if (array.locks.length > MAX_LOCKS)
    throw new DeclarationError(`${path}: ${array.locks.length} locks per element, at most ${MAX_LOCKS} allowed`);
  if (new Set(array.locks).size !== array.locks.length)
    throw new DeclarationError(`${path}: locks ${array.locks.join(', ')} name one twice`);
  const used = new Set<string>();
  for (const [name, register] of Object.entries(array.element)) {
    const part = `${path}[].${name}`;
    validateName(part, name);
    if (name === 'locks') throw new DeclarationError(`${part}: "locks" is the name of the element's lock states`);
    validateOffset(part, register.offset);
    validateRegister(part, register);
    if (register.offset + register.width / 8 > array.stride)
      throw new DeclarationError(
        `${part}: offset ${hex(register.offset)} lies outside the stride of ${hex(array.stride)}`,
      );
    for (const lock of locksOf(register)) used.add(lock);
  }
  for (const lock of array.locks)
    if (!used.has(lock)) throw new DeclarationError(`${path}: no register of the element is locked by "${lock}"`);
  for (const lock of used) if (!array.locks.includes(lock)) locks.add(lock);
  return array.count * Object.keys(array.element).length;
}

function validateName(path: string, name: string): void {
  if (!NAME.test(name)) throw new DeclarationError(`${path}: "${name}" is not a name (letters, digits and _ only)`);
}

function validateOffset(path: string, offset: number): void {
  if (!Number.isInteger(offset) || offset < 0)
    throw new DeclarationError(`${path}: offset ${offset} is not a byte offset`);
}

function validatePlaces(block: RegisterBlock): void {
  const sorted = [...placements(block)].sort((a, b) => a.offset - b.offset);
  let previousPath = '';
  let previousEnd = 0;
  for (const { path, register, offset } of sorted) {
    const bytes = bytesOf(register);
    if (offset % bytes !== 0)
      throw new DeclarationError(`${path}: offset ${hex(offset)} is not a multiple of its ${bytes} bytes`);
    if (offset + bytes > block.size)
      throw new DeclarationError(`${path}: offset ${hex(offset)} lies outside the block of ${hex(block.size)} bytes`);
    if (offset < previousEnd) throw new DeclarationError(`${path}: overlaps ${previousPath} at offset ${hex(offset)}`);
    previousPath = path;
    previousEnd = offset + bytes;
  }
}

/** Bytes of a register. */
export function bytesOf(register: Register): 1 | 2 | 4 | 8 {
  return (register.width / 8) as 1 | 2 | 4 | 8;
}
