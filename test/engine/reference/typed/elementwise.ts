/** Type conversion, reduce and reduce dualcast, element by element: DSA specification 8.3.19 to 8.3.21. */
import { Opcode, Status } from '../../support/descriptor.ts';
import { faultOf, type ReferenceMemory } from '../memory.ts';
import type { Ending } from '../model.ts';
import { canConvert, Compute, Elements, readTyped, SIZES, type TypedFields } from './elements.ts';

function readElement(memory: ReferenceMemory, address: number, size: number): bigint {
  return [...memory.range(address, size)].reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
}

function elementBytes(bits: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn));
}

const addressAt = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

/** Where descriptors have the operands' addresses. */
function operands(opcode: number): { readonly sources: readonly number[]; readonly destinations: readonly number[] } {
  if (opcode === Opcode.typeConversion) return { sources: [16], destinations: [24] };
  return { sources: [16, 24], destinations: opcode === Opcode.reduce ? [40] : [40, 48] };
}

export function elementwise(memory: ReferenceMemory, view: DataView, check: boolean): Ending {
  const opcode = view.getUint8(7);
  const fields = readTyped(view);
  const elements = new Elements(fields);
  const sizeFrom = SIZES[fields.from] ?? 0;
  const sizeTo = SIZES[fields.to] ?? 0;
  const { sources, destinations } = operands(opcode);
  const count = view.getUint32(32, true);
  let result = 0;
  for (let index = 0; index < count; index++) {
    try {
      const [first = 0n, second = 0n] = sources.map((at) =>
        readElement(memory, addressAt(view, at) + index * sizeFrom, sizeFrom),
      );
      const value = opcode === Opcode.typeConversion ? elements.convert(first) : elements.compute(first, second);
      const bytes = elementBytes(value, sizeTo);
      const places = destinations.map((at) => addressAt(view, at) + index * sizeTo);
      for (const place of places) memory.probe(place);
      for (const place of places) memory.writeAll(place, bytes);
      result |= elements.takeExceptions();
    } catch (error) {
      const { address, write } = faultOf(error);
      const status = Status.pageFault | (write ? 0x80 : 0);
      return { status, result, completed: index * sizeFrom, faultAddress: address };
    }
  }
  return { status: check && result !== 0 ? Status.predicateFalse : Status.success, result };
}

const meet = (first: bigint, firstSize: bigint, second: bigint, secondSize: bigint): boolean =>
  first < second + secondSize && second < first + firstSize;

/** What is wrong with types and computations of a device that has all of them. */
function badFields({ from, to, compute, flags }: TypedFields, computes: boolean): boolean {
  if (from > 9 || to > 9 || !canConvert(from, to)) return true;
  if (flags >= 512 || ((flags >> 4) & 7) > 3) return true;
  const known: readonly number[] = from > 3 ? [Compute.add, Compute.minimum, Compute.maximum] : Object.values(Compute);
  return computes && !known.includes(compute);
}

export function elementwiseRules(
  view: DataView,
  found: Map<number, number>,
  limits: { readonly maxTransfer: number },
): void {
  const opcode = view.getUint8(7);
  const fields = readTyped(view);
  if (opcode === Opcode.typeConversion && fields.compute !== 0) found.set(Status.reservedField, 0);
  if (badFields(fields, opcode !== Opcode.typeConversion)) {
    found.set(Status.fieldValue, 0);
    return;
  }
  const { sources, destinations } = operands(opcode);
  const [sizeFrom, sizeTo] = [BigInt(SIZES[fields.from] ?? 0), BigInt(SIZES[fields.to] ?? 0)];
  const count = BigInt(view.getUint32(32, true));
  if (count * (sizeFrom > sizeTo ? sizeFrom : sizeTo) > BigInt(limits.maxTransfer)) found.set(Status.transferSize, 0);
  const read = sources.map((at) => view.getBigUint64(at, true));
  const written = destinations.map((at) => view.getBigUint64(at, true));
  if (read.some((at) => at % sizeFrom !== 0n) || written.some((at) => at % sizeTo !== 0n)) {
    found.set(Status.alignment, 0);
  }
  for (const to of written) {
    for (const from of read) {
      const inPlace = from === to && fields.from === fields.to;
      if (!inPlace && meet(from, count * sizeFrom, to, count * sizeTo)) found.set(Status.overlap, 0);
    }
  }
  const [one = 0n, other] = written;
  if (other !== undefined && meet(one, count * sizeTo, other, count * sizeTo)) found.set(Status.overlap, 0);
}
