/** Data integrity fields, block by block: DSA specification 8.3.14 to 8.3.18 and appendix B. */
import { type DifSide, type DifTags, Opcode, readTags, Status } from '../support/descriptor.ts';
import { faultOf, type ReferenceMemory } from './memory.ts';
import type { Ending } from './model.ts';

/** Bytes of a block, by the lowest bits of the DIF flags. */
export const DIF_BLOCKS: readonly number[] = [512, 520, 4096, 4104];
const FIELD = 8;
const T10 = 0x8bb7;

/** CRC-16 of the T10 integrity field, bit by bit. */
export function guardOf(data: Iterable<number>, difFlags: number): number {
  let state = (difFlags & 4) !== 0 ? 0xffff : 0;
  for (const byte of data) {
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (state >>> 15) ^ ((byte >>> bit) & 1);
      state = ((state << 1) & 0xffff) ^ (carry === 1 ? T10 : 0);
    }
  }
  return (difFlags & 8) !== 0 ? state ^ 0xffff : state;
}

/** A side's tags for block `index`. */
export function tagsAt({ flags, reference, mask, application }: DifSide, index: number): DifTags {
  return {
    reference: (flags & 0x80) !== 0 ? reference : (reference + index) >>> 0,
    mask,
    application: (flags & 0x10) !== 0 ? (application + index) & 0xffff : application,
  };
}

interface Field {
  readonly guard: number;
  readonly application: number;
  readonly reference: number;
}

function decode(bytes: readonly number[]): Field {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  return { guard: view.getUint16(0), application: view.getUint16(2), reference: view.getUint32(4) };
}

export function encodeField({ guard, application, reference }: Field): Uint8Array {
  const view = new DataView(new ArrayBuffer(FIELD));
  view.setUint16(0, guard);
  view.setUint16(2, application);
  view.setUint32(4, reference);
  return new Uint8Array(view.buffer);
}

/** What is wrong with a block: 0, or bits. */
function problems(data: readonly number[], field: Field, side: DifSide, difFlags: number, index: number): number {
  const { flags } = side;
  const applicationOnes = field.application === 0xffff;
  const tagOnes = applicationOnes && field.reference === 0xffff_ffff;
  if ((flags & 2) !== 0 && tagOnes && field.guard === 0xffff) return (flags & 1) !== 0 ? 8 : 0;
  if ((flags & 4) !== 0 && applicationOnes) return 0;
  if ((flags & 8) !== 0 && tagOnes) return 0;
  const tags = tagsAt(side, index);
  let found = 0;
  if ((flags & 0x20) === 0 && guardOf(data, difFlags) !== field.guard) found |= 1;
  if (tags.mask !== 0xffff && (tags.application & ~tags.mask) !== field.application) found |= 2;
  if ((flags & 0x40) === 0 && tags.reference !== field.reference) found |= 4;
  return found;
}

export function dif(memory: ReferenceMemory, view: DataView): Ending {
  const opcode = view.getUint8(7);
  const apart = opcode === Opcode.dixGenerate;
  const checks = opcode !== Opcode.difInsert && !apart;
  const makes = opcode === Opcode.difInsert || opcode === Opcode.difUpdate || apart;
  const difFlags = view.getUint8(42);
  const source: DifSide = { flags: view.getUint8(40), ...readTags(view, 48) };
  const destination: DifSide = { flags: view.getUint8(41), ...readTags(view, 56) };
  const block = DIF_BLOCKS[difFlags & 3] ?? 0;
  const sourceBlock = block + (checks ? FIELD : 0);
  const from = Number(view.getBigUint64(16, true));
  let to = Number(view.getBigUint64(24, true));
  const count = view.getUint32(32, true) / sourceBlock;

  const ending = (index: number, how: Ending): Ending => ({
    ...how,
    ...(checks ? { sourceTags: tagsAt(source, index) } : {}),
    ...(makes ? { destinationTags: tagsAt(destination, index) } : {}),
  });
  for (let index = 0; index < count; index++) {
    const completed = index * sourceBlock;
    try {
      const bytes = [...memory.range(from + completed, sourceBlock)];
      const data = bytes.slice(0, block);
      let field = decode([...bytes.slice(block), ...new Uint8Array(FIELD)].slice(0, FIELD));
      if (checks) {
        const result = problems(data, field, source, difFlags, index);
        if (result !== 0) return ending(index, { status: Status.dif, result, completed });
      }
      if (makes) {
        const kept = opcode === Opcode.difUpdate ? destination.flags : 0;
        const tags = tagsAt(destination, index);
        field = {
          guard: (kept & 0x20) !== 0 ? field.guard : guardOf(data, difFlags),
          application: (kept & 8) !== 0 ? field.application : tags.application & ~tags.mask & 0xffff,
          reference: (kept & 0x40) !== 0 ? field.reference : tags.reference,
        };
      }
      if (opcode === Opcode.difCheck) continue;
      for (const byte of [...(apart ? [] : data), ...(makes ? encodeField(field) : [])]) memory.write(to++, byte);
    } catch (error) {
      const { address, write } = faultOf(error);
      const status = Status.pageFault | (write ? 0x80 : 0);
      return ending(index, { status, completed, faultAddress: address });
    }
  }
  return ending(count, { status: Status.success });
}
