import fc from 'fast-check';

import {
  type Access,
  array,
  type Field,
  type FieldDeclarer,
  type Fields,
  group,
  lockedBy,
  none,
  rc,
  reg16,
  reg32,
  reg64,
  reg8,
  type Register,
  type RegisterBlock,
  registerBlock,
  type RegisterOptions,
  type Registers,
  type RegisterRegion,
  type ResetKind,
  ro,
  rw,
  surviving,
  w0c,
  w1c,
  w1s,
  type Width,
  wo,
} from '../../src/emulation/index.ts';

const ACCESS: Readonly<Record<Access, FieldDeclarer<Access>>> = { ro, rw, wo, w1c, w1s, w0c, rc, none };
const DECLARE: Readonly<Record<Width, (offset: number, fields: Fields, options: RegisterOptions) => Register>> = {
  8: reg8,
  16: reg16,
  32: reg32,
  64: reg64,
};
/** Locks that belong to the block. */
const BLOCK_LOCKS = ['alpha', 'beta', 'gamma'] as const;
/** Locks that array elements own. */
const ELEMENT_LOCKS = ['mine', 'own'] as const;
const ALL_LOCKS = [...BLOCK_LOCKS, ...ELEMENT_LOCKS] as const;

/** One guest access, or something that the device does between guest accesses. */
export type Step =
  | { readonly op: 'read'; readonly offset: number; readonly length: number }
  | { readonly op: 'write'; readonly offset: number; readonly data: Uint8Array }
  | {
      readonly op: 'hold';
      readonly array?: string;
      readonly index: number;
      readonly lock: string;
      readonly held: boolean;
    }
  | { readonly op: 'set'; readonly path: string; readonly value: bigint }
  | { readonly op: 'reset'; readonly kind: ResetKind }
  | { readonly op: 'dropStaged' };

/** What the guest's half of the steps is done to: an interpreter or a native region. */
export interface GuestPort {
  read(offset: number, into: Uint8Array): unknown;
  write(offset: number, from: Uint8Array): unknown;
}

/** What the blocks may have. All of it when absent. */
export interface BlockOptions {
  /** `widths` of registers. */
  readonly widths?: boolean;
  /** Access types of fields. */
  readonly access?: readonly Access[];
}

interface FieldSpec {
  readonly skip: number;
  readonly bits: number;
  readonly access: Access;
  readonly locks: readonly string[];
  readonly survives: readonly ResetKind[];
}

interface RegisterSpec {
  readonly width: Width;
  readonly gap: number;
  readonly fields: readonly FieldSpec[];
  readonly reset: bigint;
  readonly locks: readonly string[];
  readonly widths: readonly (1 | 2 | 4 | 8)[] | undefined;
  readonly commit: boolean;
  readonly shared: boolean;
  readonly keep: 'constant' | readonly ResetKind[] | undefined;
}

type ItemSpec =
  | { readonly kind: 'register'; readonly jump: boolean; readonly register: RegisterSpec }
  | { readonly kind: 'group'; readonly jump: boolean; readonly registers: readonly RegisterSpec[] }
  | {
      readonly kind: 'array';
      readonly jump: boolean;
      readonly count: number;
      readonly slack: number;
      readonly registers: readonly RegisterSpec[];
    };

const resetKind = fc.constantFrom<ResetKind>('cold', 'function', 'software');

function registerSpec(options: BlockOptions): fc.Arbitrary<RegisterSpec> {
  const locks = fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.subarray([...ALL_LOCKS], { minLength: 1, maxLength: 2 }) },
  );
  const field = fc.record({
    skip: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 9 }) }),
    bits: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 64 }) },
    ),
    access: fc.constantFrom(...(options.access ?? (Object.keys(ACCESS) as Access[]))),
    locks,
    survives: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.uniqueArray(resetKind, { minLength: 1 }) },
    ),
  });
  return fc.record({
    width: fc.constantFrom<Width>(8, 16, 32, 64),
    gap: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 12 }) }),
    fields: fc.array(field, { minLength: 1, maxLength: 12 }),
    reset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    locks,
    widths:
      options.widths === false
        ? fc.constant(undefined)
        : fc.option(fc.subarray([1, 2, 4, 8] as const, { minLength: 1 }), { nil: undefined, freq: 4 }),
    commit: fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    shared: fc.boolean(),
    keep: fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constant('constant' as const) },
      { weight: 2, arbitrary: fc.uniqueArray(resetKind, { minLength: 1 }) },
    ),
  });
}

/**
 * Arbitrary register blocks: registers of every width, fields of every access type, locks on registers and fields,
 * arrays whose elements own locks, groups, gaps, several 4 KiB pages, `widths`, `commit`, `shared`, resets survived.
 */
export function arbitraryBlock(options: BlockOptions = {}): fc.Arbitrary<RegisterBlock> {
  const register = registerSpec(options);
  const registers = fc.array(register, { minLength: 1, maxLength: 3 });
  const jump = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
  const item: fc.Arbitrary<ItemSpec> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('register' as const), jump, register }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('group' as const), jump, registers }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('array' as const),
        jump,
        count: fc.integer({ min: 1, max: 4 }),
        slack: fc.nat({ max: 2 }),
        registers,
      }),
    },
  );
  return fc
    .record({ items: fc.array(item, { minLength: 1, maxLength: 6 }), tail: fc.nat({ max: 5 }) })
    .map(({ items, tail }) => build(items, tail));
}

function build(items: readonly ItemSpec[], tail: number): RegisterBlock {
  const registers: Record<string, Registers[string]> = {};
  let at = 0;
  items.forEach((item, i) => {
    // A jump ends just below the next page, so that accesses and arrays cross it.
    if (item.jump) at = align(at + 8, 4096) - 8;
    const name = `R${i}`;
    if (item.kind === 'register') {
      const offset = align(at + item.register.gap, item.register.width / 8);
      registers[name] = declare(item.register, offset, false);
      at = offset + item.register.width / 8;
      return;
    }
    const base = align(at, 8);
    const inner: Record<string, Register> = {};
    let end = 0;
    item.registers.forEach((spec, j) => {
      const offset = align(end + spec.gap, spec.width / 8);
      inner[`E${j}`] = declare(spec, offset, item.kind === 'array');
      end = offset + spec.width / 8;
    });
    if (item.kind === 'group') {
      registers[name] = group(base, inner);
      at = base + end;
    } else {
      const stride = align(end, 8) + 8 * item.slack;
      const used = new Set(Object.values(inner).flatMap(locksOf));
      registers[name] = array(base, stride, item.count, inner, {
        locks: ELEMENT_LOCKS.filter((lock) => used.has(lock)),
      });
      at = base + stride * item.count;
    }
  });
  return registerBlock(at + tail, registers);
}

function declare(spec: RegisterSpec, offset: number, inArray: boolean): Register {
  const bytes = spec.width / 8;
  // Outside arrays, the elements' locks would be locks of the block by the same name; that is legal but proves nothing.
  const usable = (locks: readonly string[]): string[] =>
    locks.filter((lock) => inArray || (BLOCK_LOCKS as readonly string[]).includes(lock));
  const fields: Record<string, Field> = {};
  let declared = 0n;
  let at = 0;
  spec.fields.forEach(({ skip, bits, access, locks, survives }, i) => {
    const lsb = at + skip;
    if (lsb >= spec.width) return;
    const msb = Math.min(lsb + bits, spec.width) - 1;
    const field: Field = msb === lsb ? ACCESS[access](lsb) : ACCESS[access](msb, lsb);
    fields[`f${i}`] = surviving(survives, lockedBy(usable(locks), field));
    declared |= ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
    at = msb + 1;
  });
  const lockNames = usable(spec.locks);
  const widths = spec.widths?.filter((width) => width <= bytes);
  const options: RegisterOptions = {
    reset: spec.reset & declared,
    ...(lockNames.length === 0 ? {} : { lockedBy: lockNames }),
    ...(widths === undefined || widths.length === 0 ? {} : { widths }),
    ...(spec.commit && bytes > 1 ? { commit: 'last' as const } : {}),
    ...(spec.shared && bytes >= 4 ? { shared: true } : {}),
    ...(spec.keep === undefined ? {} : spec.keep === 'constant' ? { constant: true } : { survives: spec.keep }),
  };
  return DECLARE[spec.width](offset, fields, options);
}

function locksOf(register: Register): readonly string[] {
  const own = register.options.lockedBy;
  return [
    ...(typeof own === 'string' ? [own] : (own ?? [])),
    ...Object.values(register.fields).flatMap(({ locks }) => locks),
  ];
}

function align(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

interface Home {
  readonly path: string;
  readonly offset: number;
  readonly register: Register;
}

function homes(block: RegisterBlock): readonly Home[] {
  const within = (registers: Registers, prefix: string, base: number): Home[] =>
    Object.entries(registers).flatMap(([name, item]) => {
      const path = prefix + name;
      const offset = base + item.offset;
      if (item.kind === 'register') return [{ path, offset, register: item }];
      if (item.kind === 'group') return within(item.registers, `${path}.`, offset);
      return Array.from({ length: item.count }, (_, i) =>
        Object.entries(item.element).map(([part, register]) => ({
          path: `${path}[${i}].${part}`,
          offset: offset + i * item.stride + register.offset,
          register,
        })),
      ).flat();
    });
  return within(block.registers, '', 0);
}

/** What {@link arbitraryAccesses} may do. */
export interface AccessOptions {
  /** Also what the device does: locks, values, resets. */
  readonly device?: boolean;
  readonly maxLength?: number;
}

/**
 * Arbitrary accesses to a block: most go to a few of its registers, whole, in halves and in other parts, so that one
 * access meets what another left; the others go anywhere, aligned or not. They have any length up to 24; bytes that are
 * all zeros or all ones are frequent. All of them lie inside the block.
 */
export function arbitraryAccesses(block: RegisterBlock, options: AccessOptions = {}): fc.Arbitrary<readonly Step[]> {
  const places = homes(block);
  return fc
    .uniqueArray(fc.constantFrom(...places), { minLength: 1, maxLength: 3, selector: ({ path }) => path })
    .chain((focus) => fc.array(arbitraryStep(block, places, focus, options), { maxLength: options.maxLength ?? 40 }));
}

function arbitraryStep(
  block: RegisterBlock,
  places: readonly Home[],
  focus: readonly Home[],
  options: AccessOptions,
): fc.Arbitrary<Step> {
  const span = arbitrarySpan(block, places, focus);
  const byte = fc.oneof(fc.constantFrom(0, 0xff), fc.integer({ min: 0, max: 0xff }));
  const read = span.map((where): Step => ({ op: 'read', ...where }));
  const write = span.chain(({ offset, length }) =>
    fc
      .array(byte, { minLength: length, maxLength: length })
      .map((bytes): Step => ({ op: 'write', offset, data: Uint8Array.from(bytes) })),
  );
  return fc.oneof(
    { weight: 3, arbitrary: read },
    { weight: 6, arbitrary: write },
    ...(options.device === true ? deviceSteps(block, focus) : []),
  );
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

function arbitrarySpan(block: RegisterBlock, places: readonly Home[], focus: readonly Home[]): fc.Arbitrary<Span> {
  const part = fc
    .tuple(fc.constantFrom(...focus), fc.constantFrom(1, 2, 4, 8), fc.nat({ max: 7 }))
    .map(([{ offset, register }, pieces, which]): Span => {
      const bytes = register.width / 8;
      const count = Math.max(1, bytes / pieces);
      return { offset: offset + ((which * count) % bytes), length: count };
    });
  const near = fc
    .tuple(fc.constantFrom(...places), fc.integer({ min: -9, max: 9 }))
    .map(([{ offset }, delta]) => Math.min(Math.max(offset + delta, 0), block.size - 1));
  const offset = fc.oneof({ weight: 4, arbitrary: near }, { weight: 1, arbitrary: fc.nat({ max: block.size - 1 }) });
  const length = fc.oneof(fc.constantFrom(1, 2, 4, 8), fc.integer({ min: 1, max: 24 }));
  const any = fc
    .tuple(offset, length)
    .map(([at, count]): Span => ({ offset: at, length: Math.min(count, block.size - at) }));
  return fc.oneof({ weight: 3, arbitrary: part }, { weight: 2, arbitrary: any });
}

function deviceSteps(
  block: RegisterBlock,
  places: readonly Home[],
): readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> }[] {
  const set = fc.constantFrom(...places).chain(({ path, register }) =>
    fc.bigInt({ min: 0n, max: 2n ** BigInt(register.width) - 1n }).map((value): Step => {
      let declared = 0n;
      for (const { msb, lsb } of Object.values(register.fields))
        declared |= ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
      return { op: 'set', path, value: value & declared };
    }),
  );
  const locks = locksIn(block);
  const hold =
    locks.length === 0
      ? []
      : [
          {
            weight: 3,
            arbitrary: fc
              .tuple(fc.constantFrom(...locks), fc.nat({ max: 3 }), fc.boolean())
              .map(([{ array: name, count, lock }, index, held]): Step => ({
                op: 'hold',
                ...(name === undefined ? {} : { array: name }),
                index: index % count,
                lock,
                held,
              })),
          },
        ];
  return [
    { weight: 2, arbitrary: set },
    ...hold,
    {
      weight: 1,
      arbitrary: fc.oneof(
        resetKind.map((kind): Step => ({ op: 'reset', kind })),
        fc.constant<Step>({ op: 'dropStaged' }),
      ),
    },
  ];
}

interface LockHome {
  readonly array: string | undefined;
  readonly count: number;
  readonly lock: string;
}

function locksIn(block: RegisterBlock): readonly LockHome[] {
  const found = new Map<string, LockHome>();
  const add = (
    register: Register,
    owner: { name: string; count: number; locks: readonly string[] } | undefined,
  ): void => {
    for (const lock of locksOf(register)) {
      const owned = owner?.locks.includes(lock) === true ? owner : undefined;
      found.set(`${owned?.name ?? ''}.${lock}`, { array: owned?.name, count: owned?.count ?? 1, lock });
    }
  };
  const within = (registers: Registers): void => {
    for (const [name, item] of Object.entries(registers)) {
      if (item.kind === 'register') add(item, undefined);
      else if (item.kind === 'group') within(item.registers);
      else
        for (const register of Object.values(item.element))
          add(register, { name, count: item.count, locks: item.locks });
    }
  };
  within(block.registers);
  return [...found.values()];
}

type Views = Readonly<Record<string, unknown>>;

/** The view of a register by its path. */
export function viewAt(region: RegisterRegion, path: string): { value: number | bigint } & Record<string, unknown> {
  let view: unknown = region.registers;
  for (const part of path.split(/[.[\]]+/)) view = (view as Views)[part];
  return view as { value: number | bigint } & Record<string, unknown>;
}

/**
 * Does one step.
 *
 * @param region - device side; for a native region, one over the same memory
 * @param guest - guest side; the region itself when absent
 * @returns what a read returned
 */
export function performStep(region: RegisterRegion, step: Step, guest: GuestPort = region): Uint8Array | undefined {
  switch (step.op) {
    case 'read': {
      const bytes = new Uint8Array(step.length).fill(0xa5);
      guest.read(step.offset, bytes);
      return bytes;
    }
    case 'write':
      guest.write(step.offset, step.data);
      return undefined;
    case 'hold': {
      const locks = step.array === undefined ? region.locks : elementLocks(region, step.array, step.index);
      (locks as Record<string, boolean>)[step.lock] = step.held;
      return undefined;
    }
    case 'set': {
      const view = viewAt(region, step.path);
      view.value = typeof view.value === 'bigint' ? step.value : Number(step.value);
      return undefined;
    }
    case 'reset':
      region.reset(step.kind);
      return undefined;
    case 'dropStaged':
      region.dropStaged();
      return undefined;
  }
}

function elementLocks(region: RegisterRegion, name: string, index: number): unknown {
  const elements = (region.registers as Views)[name] as readonly { readonly locks: unknown }[];
  return elements[index]?.locks;
}
