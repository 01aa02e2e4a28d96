import type {
  Access,
  Field,
  Register,
  RegisterArray,
  RegisterBlock,
  RegisterGroup,
  ResetKind,
} from '../../../src/emulation/index.ts';

/** A guest write that reached a register's rules. */
export interface ModelWrite {
  readonly path: string;
  readonly index: number;
  readonly previous: bigint;
  readonly next: bigint;
  /** Bits carried and not frozen. */
  readonly written: bigint;
}

interface ModelRegister {
  readonly path: string;
  readonly index: number;
  readonly offset: number;
  readonly bytes: number;
  readonly register: Register;
  /** Owner's lock prefix: a lock's full name is `ARRAY[i].lock` if the element owns it. */
  readonly ownLocks: readonly string[];
  readonly lockPrefix: string;
  value: bigint;
  stagedData: bigint;
  stagedMask: bigint;
}

/**
 * What a register block means, one bit at a time and straight from the rules. Shares no code with the implementation:
 * slow, and simple enough to be checked by reading.
 */
export class RegisterModel {
  readonly registers: readonly ModelRegister[];
  /** Full names of held locks. */
  readonly held = new Set<string>();
  /** Guest writes in the order in which they took effect. */
  readonly writes: ModelWrite[] = [];
  dropped = 0;
  frozen = 0;

  constructor(block: RegisterBlock) {
    this.registers = [...expand(block.registers, '', 0)].sort((a, b) => a.offset - b.offset);
    for (const register of this.registers) register.value = BigInt(register.register.options.reset ?? 0);
  }

  at(path: string): ModelRegister {
    const found = this.registers.find((register) => register.path === path);
    if (found === undefined) throw new Error(`model: no ${path}`);
    return found;
  }

  read(offset: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (const register of this.registers) {
      let clear = 0n;
      for (let byte = 0; byte < register.bytes; byte++) {
        const position = register.offset + byte - offset;
        if (position < 0 || position >= length) continue;
        for (let bit = 0; bit < 8; bit++) {
          const number = 8 * byte + bit;
          const access = accessOf(register, number);
          const one = ((register.value >> BigInt(number)) & 1n) === 1n;
          if (one && access !== undefined && access !== 'wo' && access !== 'none')
            result[position] = (result[position] ?? 0) | (1 << bit);
          if (access === 'rc') clear |= 1n << BigInt(number);
        }
      }
      register.value &= ~clear;
    }
    return result;
  }

  write(offset: number, data: Uint8Array): void {
    for (const register of this.registers) {
      let value = 0n;
      let mask = 0n;
      let carried = 0;
      for (let byte = 0; byte < register.bytes; byte++) {
        const position = register.offset + byte - offset;
        if (position < 0 || position >= data.length) continue;
        carried += 1;
        value |= BigInt(data[position] ?? 0) << BigInt(8 * byte);
        mask |= 0xffn << BigInt(8 * byte);
      }
      if (carried > 0) this.#writeRegister(register, value, mask, carried);
    }
  }

  reset(kind: ResetKind): void {
    for (const register of this.registers) {
      const { reset, survives, constant } = register.register.options;
      if (constant === true || survives?.includes(kind) === true) continue;
      for (let bit = 0; bit < 8 * register.bytes; bit++) {
        if (fieldAt(register, bit)?.survives.includes(kind) === true) continue;
        const mask = 1n << BigInt(bit);
        register.value = (register.value & ~mask) | (BigInt(reset ?? 0) & mask);
      }
    }
    this.held.clear();
    this.dropStaged();
  }

  dropStaged(): void {
    for (const register of this.registers) register.stagedData = register.stagedMask = 0n;
  }

  #writeRegister(register: ModelRegister, value: bigint, mask: bigint, carried: number): void {
    const { options } = register.register;
    if (options.widths !== undefined && !options.widths.some((width) => width === carried)) {
      this.dropped += 1;
      return;
    }
    let data = value;
    let lanes = mask;
    if (options.commit === 'last') {
      data = (register.stagedData & ~mask) | value;
      lanes = register.stagedMask | mask;
      const highest = (mask >> BigInt(8 * register.bytes - 1)) & 1n;
      register.stagedData = highest === 1n ? 0n : data;
      register.stagedMask = highest === 1n ? 0n : lanes;
      if (highest === 0n) return;
    }
    const previous = register.value;
    let next = previous;
    let written = 0n;
    for (let number = 0; number < 8 * register.bytes; number++) {
      const bit = 1n << BigInt(number);
      if ((lanes & bit) === 0n || this.#isFrozen(register, number)) continue;
      written |= bit;
      const one = (data & bit) !== 0n;
      switch (accessOf(register, number)) {
        case 'rw':
        case 'wo':
          next = one ? next | bit : next & ~bit;
          break;
        case 'w1c':
          if (one) next &= ~bit;
          break;
        case 'w1s':
          if (one) next |= bit;
          break;
        case 'w0c':
          if (!one) next &= ~bit;
          break;
        case 'ro':
        case 'rc':
        case 'none':
        case undefined:
          break;
      }
    }
    if (written === 0n) {
      this.frozen += 1;
      return;
    }
    register.value = next;
    this.writes.push({ path: register.path, index: register.index, previous, next, written });
  }

  #isFrozen(register: ModelRegister, number: number): boolean {
    const { lockedBy } = register.register.options;
    const locks = typeof lockedBy === 'string' ? [lockedBy] : [...(lockedBy ?? [])];
    locks.push(...(fieldAt(register, number)?.locks ?? []));
    return locks.some((lock) => this.held.has(register.ownLocks.includes(lock) ? register.lockPrefix + lock : lock));
  }
}

function fieldAt(register: ModelRegister, bit: number): Field | undefined {
  return Object.values(register.register.fields).find(({ msb, lsb }) => lsb <= bit && bit <= msb);
}

function accessOf(register: ModelRegister, bit: number): Access | undefined {
  return fieldAt(register, bit)?.access;
}

function* expand(
  registers: Readonly<Record<string, Register | RegisterArray | RegisterGroup>>,
  prefix: string,
  base: number,
): Generator<ModelRegister> {
  const place = (
    path: string,
    index: number,
    offset: number,
    register: Register,
    ownLocks: readonly string[],
    lockPrefix: string,
  ): ModelRegister => ({
    path,
    index,
    offset,
    bytes: register.width / 8,
    register,
    ownLocks,
    lockPrefix,
    value: 0n,
    stagedData: 0n,
    stagedMask: 0n,
  });
  for (const [name, item] of Object.entries(registers)) {
    const path = prefix + name;
    if (item.kind === 'register') yield place(path, 0, base + item.offset, item, [], '');
    else if (item.kind === 'group') yield* expand(item.registers, `${path}.`, base + item.offset);
    else
      for (let i = 0; i < item.count; i++)
        for (const [part, register] of Object.entries(item.element)) {
          const element = `${path}[${i}].`;
          const offset = base + item.offset + i * item.stride + register.offset;
          yield place(element + part, i, offset, register, item.locks, element);
        }
  }
}
