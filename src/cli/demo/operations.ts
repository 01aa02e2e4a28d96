import { crc32c } from './crc32c.ts';
import {
  type CompletionRecord,
  type Descriptor,
  DESCRIPTOR_SIZE,
  encodeDescriptor,
  Flag,
  Opcode,
  SUCCESS,
} from './descriptor.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { OperationName } from './operation-names.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Where the operations work, as offsets in guest memory. Completion records come first. */
const Area = { list: 4 * KIB, source: MIB, copy: 2 * MIB, scratch: 3 * MIB } as const;

/** Bytes of guest memory that the operations need. */
export const MEMORY_SIZE = 4 * MIB;

/** One descriptor, and what it should do. */
export interface Operation {
  readonly name: OperationName;
  /** For people. */
  readonly title: string;
  /** Bytes that it works on. */
  readonly bytes: number;
  /** Without its record and interrupt. */
  readonly descriptor: Descriptor;
  /** Does in `memory` what the device should do. Called when all operations before were done. */
  readonly apply: (memory: Uint8Array) => void;
  /** The record that the device should write, of memory as it was before. */
  readonly record: (memory: Uint8Array) => CompletionRecord;
  /** How to tell the result to people. */
  readonly outcome: (record: CompletionRecord) => string;
  /** A byte that the operation reads, or, behind it, one that it wrote: where `--corrupt` flips a bit. */
  readonly weakness: { readonly offset: number; readonly when: 'before' | 'after' };
}

const DONE: CompletionRecord = { status: SUCCESS, result: 0, completed: 0, crc: 0 };

/** The operations in their order; later ones work on what earlier ones left. */
export function operations(memory: GuestMemory): readonly Operation[] {
  return [
    move(memory, 'move', 'Memory move', Area.source, Area.copy, MIB),
    compare(memory, 'compare', 'Compare, equal'),
    // Forward copying would repeat the first bytes for ever.
    move(memory, 'overlap', 'Memory move, overlapping', Area.copy, Area.copy + 4097, MIB - 8 * KIB),
    compare(memory, 'differ', 'Compare, different'),
    fill(memory, 'fill', 'Fill, 8-byte pattern', Area.scratch + 1, MIB - 3),
    crc(memory),
    batch(memory),
  ];
}

function move(
  memory: GuestMemory,
  name: OperationName,
  title: string,
  from: number,
  to: number,
  bytes: number,
): Operation {
  return {
    name,
    title,
    bytes,
    descriptor: {
      opcode: Opcode.move,
      flags: 0,
      first: memory.address(from),
      second: memory.address(to),
      size: bytes,
    },
    apply: (model) => model.copyWithin(to, from, from + bytes),
    record: () => DONE,
    outcome: () => 'data moved',
    weakness: { offset: from + bytes - 1, when: 'before' },
  };
}

function fill(memory: GuestMemory, name: OperationName, title: string, to: number, bytes: number): Operation {
  const pattern = 0x0123_4567_89ab_cdefn;
  return {
    name,
    title,
    bytes,
    descriptor: { opcode: Opcode.fill, flags: 0, first: pattern, second: memory.address(to), size: bytes },
    apply: (model) => {
      for (let index = 0; index < bytes; index++)
        model[to + index] = Number((pattern >> BigInt(8 * (index % 8))) & 0xffn);
    },
    record: () => DONE,
    outcome: () => 'memory filled',
    weakness: { offset: to + bytes - 1, when: 'after' },
  };
}

/** Compares the source with its copy. */
function compare(memory: GuestMemory, name: OperationName, title: string): Operation {
  return {
    name,
    title,
    bytes: MIB,
    descriptor: {
      opcode: Opcode.compare,
      flags: 0,
      first: memory.address(Area.source),
      second: memory.address(Area.copy),
      size: MIB,
    },
    apply: () => undefined,
    record: (model) => {
      const at = firstDifference(model.subarray(Area.source, Area.source + MIB), model.subarray(Area.copy));
      return at === undefined ? DONE : { ...DONE, result: 1, completed: at };
    },
    outcome: ({ completed, result }) => (result === 0 ? 'no difference' : `differs at ${completed}`),
    weakness: { offset: Area.source, when: 'before' },
  };
}

function firstDifference(left: Uint8Array, right: Uint8Array): number | undefined {
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at < 0 ? undefined : at;
}

function crc(memory: GuestMemory): Operation {
  return {
    name: 'crc',
    title: 'CRC-32C',
    bytes: MIB,
    descriptor: { opcode: Opcode.crc, flags: 0, first: memory.address(Area.source), size: MIB },
    apply: () => undefined,
    record: (model) => ({ ...DONE, crc: crc32c(model.subarray(Area.source, Area.source + MIB)) }),
    outcome: (record) => `0x${record.crc.toString(16).padStart(8, '0')}`,
    weakness: { offset: Area.source, when: 'before' },
  };
}

/** Two members; the second one waits for the first and moves what it wrote. */
function batch(memory: GuestMemory): Operation {
  const bytes = 64 * KIB;
  const members = [
    fill(memory, 'fill', '', Area.scratch, bytes),
    move(memory, 'move', '', Area.scratch, Area.scratch + bytes, bytes),
  ];
  const list = members.map(({ descriptor }, index) =>
    encodeDescriptor({ ...descriptor, flags: index === 0 ? 0 : Flag.fence }),
  );
  for (const [index, member] of list.entries()) memory.write(Area.list + index * DESCRIPTOR_SIZE, member);
  return {
    name: 'batch',
    title: 'Batch: fill, fence, move',
    bytes: 2 * bytes,
    descriptor: { opcode: Opcode.batch, flags: 0, first: memory.address(Area.list), size: members.length },
    apply: (model) => {
      for (const member of members) member.apply(model);
    },
    record: () => ({ ...DONE, completed: members.length }),
    outcome: ({ completed }) => `${completed} descriptors`,
    weakness: { offset: Area.scratch + bytes, when: 'after' },
  };
}
