/** A register as its datasheet has it. */
export interface RegisterSpec {
  readonly offset: number;
  /** Bytes. */
  readonly size: 1 | 2 | 4 | 8;
  readonly reset?: bigint;
  /** Bits that take what is written. */
  readonly writable?: bigint;
  /** Bits that writing a one clears. */
  readonly clears?: bigint;
  /** Bits that read 0, whatever they hold. */
  readonly hidden?: bigint;
  /** Bits that a function-level reset leaves alone. */
  readonly kept?: bigint;
}

/** What a register does beside holding bits. */
export interface RegisterBehaviour {
  /** What it reads. */
  readonly read?: (value: bigint) => bigint;
  /** What becomes of a new value. */
  readonly written?: (next: bigint, previous: bigint) => bigint;
}

interface Register {
  readonly spec: RegisterSpec;
  readonly behaviour: RegisterBehaviour;
  value: bigint;
}

/** Registers by name. What is between them reads 0 and takes nothing. */
export class RegisterBank<N extends string> {
  readonly #registers: Readonly<Record<N, Register>>;
  readonly #ascending: readonly Register[];

  constructor(specs: Readonly<Record<N, RegisterSpec>>, behaviours: Readonly<Partial<Record<N, RegisterBehaviour>>>) {
    const made = (Object.entries(specs) as [N, RegisterSpec][]).map(
      ([name, spec]) => [name, { spec, behaviour: behaviours[name] ?? {}, value: spec.reset ?? 0n }] as const,
    );
    this.#registers = Object.fromEntries(made) as Record<N, Register>;
    this.#ascending = made.map(([, register]) => register).sort((a, b) => a.spec.offset - b.spec.offset);
  }

  get(name: N): bigint {
    return this.#registers[name].value;
  }

  set(name: N, value: bigint): void {
    this.#registers[name].value = value;
  }

  bits(name: N, msb: number, lsb: number): number {
    return Number((this.get(name) >> BigInt(lsb)) & ((1n << BigInt(msb - lsb + 1)) - 1n));
  }

  reset(cold: boolean): void {
    for (const register of this.#ascending) {
      const { reset = 0n, kept = 0n } = register.spec;
      register.value = cold ? reset : (register.value & kept) | (reset & ~kept);
    }
  }

  /** What all registers hold. */
  save(): readonly bigint[] {
    return this.#ascending.map(({ value }) => value);
  }

  restore(values: readonly bigint[]): void {
    for (const [n, register] of this.#ascending.entries()) register.value = values[n] ?? 0n;
  }

  read(offset: number, length: number): Uint8Array {
    const into = new Uint8Array(length);
    this.#touched(offset, length, (register, first, last) => {
      const value = (register.behaviour.read?.(register.value) ?? register.value) & ~(register.spec.hidden ?? 0n);
      for (let at = first; at < last; ++at) {
        into[at - offset] = Number((value >> BigInt(8 * (at - register.spec.offset))) & 0xffn);
      }
    });
    return into;
  }

  /** @param goesOn asked before each register: one may end the access. */
  write(offset: number, data: Uint8Array, goesOn: () => boolean = () => true): void {
    this.#touched(offset, data.length, (register, first, last) => {
      if (!goesOn()) return;
      const { writable = 0n, clears = 0n } = register.spec;
      let bits = 0n;
      let lanes = 0n;
      for (let at = first; at < last; ++at) {
        const shift = BigInt(8 * (at - register.spec.offset));
        bits |= BigInt(data[at - offset] ?? 0) << shift;
        lanes |= 0xffn << shift;
      }
      const previous = register.value;
      const taken = writable & lanes;
      const next = ((previous & ~taken) | (bits & taken)) & ~(bits & clears & lanes);
      register.value = next;
      if (register.behaviour.written !== undefined) register.value = register.behaviour.written(next, previous);
    });
  }

  /** Each register of an access, in the order of their addresses. */
  #touched(offset: number, length: number, visit: (register: Register, first: number, last: number) => void): void {
    for (const register of this.#ascending) {
      const first = Math.max(offset, register.spec.offset);
      const last = Math.min(offset + length, register.spec.offset + register.spec.size);
      if (first < last) visit(register, first, last);
    }
  }
}
