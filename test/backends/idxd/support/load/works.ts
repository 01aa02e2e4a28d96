import { crc32c } from '../../../../../src/cli/demo/crc32c.ts';
import {
  type CompletionRecord,
  descriptor,
  DESCRIPTOR_SIZE,
  type DescriptorFields,
  Flag,
  Opcode,
  Status,
} from '../../../../engine/support/descriptor.ts';
import { type Arena, BASE, type GuestMemory } from './guest-memory.ts';
import type { Random } from './random.ts';

/** A completion record that is to be written, by its offset, and what the specification says of its fields. */
export interface ExpectedRecord {
  readonly at: number;
  readonly fields: Partial<CompletionRecord>;
}

/** A descriptor for the portal, alone or a batch, and all that is to come of it. */
export interface Work {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly arena: Arena | undefined;
  /** That of `bytes` is the last one. */
  readonly records: readonly ExpectedRecord[];
  /** MSI-X vectors, once for each interrupt. */
  readonly interrupts: readonly number[];
}

/** Handles that descriptors use: MSI-X vectors 1 to this. */
export const HANDLES = 4;
/** Nothing is mapped there. */
const NOWHERE = 0x10_0000;

interface Operation {
  readonly name: string;
  readonly fields: DescriptorFields;
  readonly ending: Partial<CompletionRecord>;
}

/**
 * Thinks up descriptors, and does at once in `memory.expected` what they are to do. Each has an arena to itself until it has ended, and in a batch all
 * that touch the same bytes are fenced: so nothing depends on the order in which a device takes them.
 */
export class WorkMaker {
  readonly #memory: GuestMemory;
  readonly #random: Random;
  /** Ranges of constant memory with their checksums. */
  readonly #sums: readonly (readonly [at: number, size: number, sum: number])[];

  constructor(memory: GuestMemory, random: Random) {
    this.#memory = memory;
    this.#random = random;
    const [{ at, size }] = memory.constants;
    this.#sums = Array.from({ length: 12 }, () => {
      const start = at + random.below(size / 2);
      const length = random.between(size / 4, size / 2);
      return [start, length, crc32c(memory.expected.subarray(start, start + length))];
    });
  }

  /** A descriptor without memory of its own: it is quick, unless much is to be read. */
  plain(): Work {
    const random = this.#random;
    if (random.oneIn(40)) return this.#single({ name: 'drain', fields: { opcode: Opcode.drain }, ending: success });
    return this.#single(random.oneIn(6) ? noOp : this.#reading());
  }

  /** Work in an arena. */
  in(arena: Arena): Work {
    return this.#random.oneIn(3) ? this.#batch(arena) : this.#single(this.#writing(arena), arena);
  }

  /** A batch that moves the data of an arena to and fro, by little each time: to do any of it twice, or not, makes a difference. */
  moves(arena: Arena): Work {
    const random = this.#random;
    const { data, list } = arena;
    const count = random.between(20, list.size / DESCRIPTOR_SIZE);
    const members = new Uint8Array(count * DESCRIPTOR_SIZE);
    for (let index = 0; index < count; index++) {
      const shift = random.between(1, 5000);
      const size = random.between(data.size >> 1, data.size - shift);
      const start = data.at + random.below(data.size - size - shift + 1);
      const [from, to] = random.oneIn(2) ? [start, start + shift] : [start + shift, start];
      const { fields } = this.#move(from, to, size);
      members.set(descriptor({ ...fields, flags: Flag.fence }), index * DESCRIPTOR_SIZE);
    }
    this.#memory.write(list.at, members);
    return this.#single(
      {
        name: `large batch of ${count}`,
        fields: { opcode: Opcode.batch, first: BASE + list.at, size: count },
        ending: { status: Status.success, completed: count },
      },
      arena,
    );
  }

  /** A no-op that raises this vector. */
  signal(vector: number): Work {
    return this.#single(noOp, undefined, vector);
  }

  #single(operation: Operation, arena?: Arena, vector?: number): Work {
    const interrupt = vector ?? this.#interrupt();
    const { bytes, record } = this.#encode(operation, interrupt);
    return {
      name: operation.name,
      bytes,
      arena,
      records: [record],
      interrupts: interrupt === undefined ? [] : [interrupt],
    };
  }

  #batch(arena: Arena): Work {
    const random = this.#random;
    const memory = this.#memory;
    const records: ExpectedRecord[] = [];
    const interrupts: number[] = [];
    const count = random.between(2, arena.list.size / DESCRIPTOR_SIZE);
    // The list is the arena's, and new.
    const list = new Uint8Array(count * DESCRIPTOR_SIZE);
    let ended: number | undefined;
    let failed = false;
    for (let index = 0; index < count; index++) {
      if (failed && ended === undefined) {
        // Behind a member that fails, a fence ends the batch.
        list.set(descriptor({ opcode: Opcode.noOp, flags: Flag.fence }), index * DESCRIPTOR_SIZE);
        ended = index;
        continue;
      }
      if (ended !== undefined) continue;
      const operation = random.oneIn(60) ? unknown : random.oneIn(4) ? this.#reading() : this.#writing(arena);
      failed = operation.ending.status !== Status.success;
      const interrupt = random.oneIn(4) ? this.#interrupt() : undefined;
      const { bytes, record } = this.#encode(operation, interrupt, Flag.fence);
      list.set(bytes, index * DESCRIPTOR_SIZE);
      records.push(record);
      if (interrupt !== undefined) interrupts.push(interrupt);
    }
    memory.write(arena.list.at, list);
    const ending = failed
      ? { status: Status.batchMemberFailed, completed: ended ?? count }
      : { status: Status.success, completed: count };
    const whole = { opcode: Opcode.batch, first: BASE + arena.list.at, size: count };
    const own = this.#single({ name: `batch of ${count}`, fields: whole, ending }, arena);
    return { ...own, records: [...records, ...own.records], interrupts: [...interrupts, ...own.interrupts] };
  }

  #interrupt(): number | undefined {
    return this.#random.oneIn(3) ? this.#random.between(1, HANDLES) : undefined;
  }

  #encode(
    { ending, fields }: Operation,
    interrupt: number | undefined,
    flags = 0,
  ): { readonly bytes: Uint8Array; readonly record: ExpectedRecord } {
    const at = this.#memory.newRecord();
    const told = { record: BASE + at, ...(interrupt === undefined ? {} : { interrupt }) };
    return {
      bytes: descriptor({ ...fields, ...told, flags: (fields.flags ?? 0) | flags }),
      record: { at, fields: ending },
    };
  }

  /** Reads constant memory, much of it, and writes a record only. */
  #reading(): Operation {
    const random = this.#random;
    const [first, second] = this.#memory.constants;
    if (random.oneIn(30)) {
      const ending = { status: Status.pageFault, completed: 0, faultAddress: NOWHERE };
      return { name: 'fault', fields: { opcode: Opcode.crcGeneration, first: NOWHERE, size: 100 }, ending };
    }
    if (random.oneIn(3)) {
      const from = random.below(first.size / 2);
      const size = random.oneIn(2) ? first.size - from : random.between(1, first.size / 2);
      const differs = from + size === first.size;
      const places = { first: BASE + first.at + from, second: BASE + second.at + from };
      // Without an expectation a difference is a success; with one, it is to be as expected.
      const expected = random.below(2);
      const check = random.oneIn(2);
      const fields = { opcode: Opcode.compare, ...places, size, flags: check ? Flag.checkResult : 0 };
      const status = check && expected !== Number(differs) ? Status.predicateFalse : Status.success;
      return {
        name: 'compare',
        fields: check ? { ...fields, expected } : fields,
        ending: { status, result: Number(differs), completed: differs ? size - 1 : 0 },
      };
    }
    const [at, size, sum] = random.pick(this.#sums);
    return {
      name: 'checksum',
      fields: { opcode: Opcode.crcGeneration, first: BASE + at, size },
      ending: { status: Status.success, completed: 0, extra: sum },
    };
  }

  /** Changes the data of an arena. */
  #writing({ data }: Arena): Operation {
    const random = this.#random;
    const { expected } = this.#memory;
    const half = Math.floor(data.size / 2);
    const size = random.oneIn(4) ? random.between(1, 200) : random.between(Math.floor(half / 2), half);
    const low = data.at + random.below(half - size + 1);
    const high = data.at + half + random.below(data.size - half - size + 1);
    switch (random.below(6)) {
      case 0: {
        const pattern = BigInt(random.below(2 ** 31)) * 0x1_0001_0001n;
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setBigUint64(0, pattern, true);
        for (let index = 0; index < size; index++) expected[low + index] = bytes[index % 8] ?? 0;
        return {
          name: `fill of ${size}`,
          fields: { opcode: Opcode.fill, first: pattern, second: BASE + low, size },
          ending: success,
        };
      }
      case 1: {
        const sum = crc32c(expected.subarray(low, low + size));
        expected.copyWithin(high, low, low + size);
        return {
          name: `copy with CRC of ${size}`,
          fields: { opcode: Opcode.copyWithCrc, first: BASE + low, second: BASE + high, size },
          ending: { ...success, extra: sum },
        };
      }
      case 2: {
        const [from, to] = random.oneIn(2) ? [low, high] : [high, low];
        return this.#move(from, to, size);
      }
      default: {
        // Overlapping, mostly by so much that no part of it could be done twice.
        const length = random.oneIn(4) ? size : random.between(half, data.size - 1);
        const shift = Math.min(data.size - length, random.between(1, random.oneIn(3) ? length : 5000));
        const start = data.at + random.below(data.size - length - shift + 1);
        return random.oneIn(2) ? this.#move(start, start + shift, length) : this.#move(start + shift, start, length);
      }
    }
  }

  #move(from: number, to: number, size: number): Operation {
    this.#memory.expected.copyWithin(to, from, from + size);
    return {
      name: `move of ${size} by ${to - from}`,
      fields: { opcode: Opcode.memoryMove, first: BASE + from, second: BASE + to, size },
      ending: success,
    };
  }
}

const success = { status: Status.success, completed: 0 } as const;
const noOp: Operation = { name: 'no-op', fields: { opcode: Opcode.noOp }, ending: success };
const unknown: Operation = {
  name: 'unknown operation',
  fields: { opcode: 0x7f },
  ending: { status: Status.unsupportedOperation },
};
