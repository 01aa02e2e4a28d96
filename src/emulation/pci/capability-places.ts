import { alignUp, hex } from '../bits.ts';
import { DeclarationError } from '../declaration-error.ts';
import type { Capability, PlacedCapability } from './capability.ts';

/** Where standard capabilities begin: behind the type 0 header. */
const STANDARD_START = 0x40;
/** Where extended capabilities begin, and where the first of them must be. */
const EXTENDED_START = 0x100;

/**
 * Gives every capability its offset: its own, or the next free one behind the capability before it. Standard ones first.
 *
 * @throws {@link DeclarationError} that names the capability
 */
export function placeCapabilities(capabilities: readonly Capability[], size: number): readonly PlacedCapability[] {
  const standard = placeChain(
    capabilities.filter(({ version }) => version === undefined),
    STANDARD_START,
    EXTENDED_START,
  );
  const extended = placeChain(
    capabilities.filter(({ version }) => version !== undefined),
    EXTENDED_START,
    size,
  );
  const [first] = extended;
  if (first !== undefined && first.offset !== EXTENDED_START)
    throw new DeclarationError(
      `configSpace: ${first.name} at ${hex(first.offset)} is the first extended capability, which must be at 0x100`,
    );
  const both = standard.find(({ name }) => extended.some((other) => other.name === name));
  if (both !== undefined) throw new DeclarationError(`configSpace: there are two capabilities ${both.name}`);
  return [...standard, ...extended];
}

function placeChain(capabilities: readonly Capability[], start: number, end: number): readonly PlacedCapability[] {
  const placed: PlacedCapability[] = [];
  let free = start;
  for (const capability of capabilities) {
    const { name } = capability;
    check(capability);
    const offset = capability.offset ?? alignUp(free, 4);
    if (!Number.isInteger(offset) || offset % 4 !== 0)
      throw new DeclarationError(`configSpace: ${name} at offset ${offset}, which is no multiple of 4`);
    if (offset < start || offset + capability.size > end)
      throw new DeclarationError(
        `configSpace: ${name} at ${hex(offset)}, ${capability.size} bytes, is not inside ${hex(start)} to ${hex(end)}`,
      );
    for (const other of placed) {
      if (other.name === name) throw new DeclarationError(`configSpace: there are two capabilities ${name}`);
      if (offset < other.offset + other.size && other.offset < offset + capability.size)
        throw new DeclarationError(
          `configSpace: ${name} at ${hex(offset)} overlaps ${other.name} at ${hex(other.offset)}`,
        );
    }
    placed.push({ ...capability, offset });
    free = offset + capability.size;
  }
  return placed;
}

function check({ name, id, version, size, registers }: Capability): void {
  const idLimit = version === undefined ? 0xff : 0xffff;
  if (!Number.isInteger(id) || id < 0 || id > idLimit)
    throw new DeclarationError(`configSpace: ${name} has id ${id}, expected 0 to ${idLimit}`);
  if (version !== undefined && (!Number.isInteger(version) || version < 1 || version > 15))
    throw new DeclarationError(`configSpace: ${name} has version ${version}, expected 1 to 15`);
  const header = version === undefined ? 2 : 4;
  if (!Number.isInteger(size) || size < header)
    throw new DeclarationError(`configSpace: ${name} has ${size} bytes, expected at least ${header}`);
  for (const [register, item] of Object.entries(registers))
    if (item.offset >= size)
      throw new DeclarationError(
        `configSpace: ${name}.${register} at ${hex(item.offset)} lies behind the ${size} bytes of ${name}`,
      );
}
