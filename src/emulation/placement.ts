import type { RegisterArray } from './array.ts';
import type { RegisterBlock, Registers } from './block.ts';
import type { Register } from './register.ts';

/** A register at its place in the block; array elements each have one. */
export interface Placement {
  /** `CMD`, `WQCFG[3].MODE`, `PCIE.DEVCTL`. */
  readonly path: string;
  /** The path without array indices: what hooks are bound to. */
  readonly hookPath: string;
  readonly register: Register;
  /** Byte offset in the block. */
  readonly offset: number;
  /** Array index, 0 outside arrays. */
  readonly index: number;
  /** The array that the register is an element of. */
  readonly array: RegisterArray | undefined;
  /** Path of that array, such as `WQCFG`. */
  readonly arrayPath: string;
}

/** Every register of a block, arrays and groups expanded, in the order of declaration. */
export function* placements(block: RegisterBlock): Generator<Placement> {
  yield* within(block.registers, '', 0);
}

function* within(registers: Registers, prefix: string, base: number): Generator<Placement> {
  for (const [name, item] of Object.entries(registers)) {
    const path = prefix + name;
    const offset = base + item.offset;
    if (item.kind === 'register') {
      yield { path, hookPath: path, register: item, offset, index: 0, array: undefined, arrayPath: '' };
    } else if (item.kind === 'group') {
      yield* within(item.registers, `${path}.`, offset);
    } else {
      for (let index = 0; index < item.count; index++)
        for (const [part, register] of Object.entries(item.element))
          yield {
            path: `${path}[${index}].${part}`,
            hookPath: `${path}.${part}`,
            register,
            offset: offset + index * item.stride + register.offset,
            index,
            array: item,
            arrayPath: path,
          };
    }
  }
}
