import { type ConfigSpace, DeclarationError, type Register, type RegisterArray } from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { msixPlacesOf } from './msix-places.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { barsOf, type Regions } from '../regions/regions.ts';

/** Bytes of a table entry, and of 64 vectors' pending bits (PCI Local Bus Specification 3.0, 6.8.2.3 ff.). */
const ENTRY_SIZE = 16;
const PENDING_SIZE = 8;
/** Vectors of one word of pending bits. */
const WORD_VECTORS = 64;

/**
 * Holds the MSI-X capability against the BARs that it says its table and its pending bits are in.
 * @throws DeclarationError that names BAR and offset, when they are not there as `msixRegisters` declares them.
 */
export function checkMsix(configSpace: ConfigSpace, regions: Regions): void {
  const places = msixPlacesOf(configSpace);
  if (places === undefined) return;
  const { table, pending, vectors } = places;
  if (!isPlainMemory(table, ENTRY_SIZE * vectors, regions)) {
    checkPart('table', 'MSIX_TABLE', table, ENTRY_SIZE, vectors, regions);
  }
  checkPart('pending bits', 'MSIX_PBA', pending, PENDING_SIZE, Math.ceil(vectors / WORD_VECTORS), regions);
}

/**
 * A device that owns its MSI-X table must see the guest write it.
 * @throws {@link MdevError} `EINVAL` for one whose table is plain memory.
 */
export function checkMsixOwner(
  configSpace: ConfigSpace,
  regions: Regions,
  owner: PlatformCapabilities['msixOwner'],
): void {
  const table = msixPlacesOf(configSpace)?.table;
  if (owner === 'client' || table === undefined) return;
  const bar = barsOf(regions).find(({ index }) => index === table.region);
  if (bar?.region.kind === 'memory') {
    throw new MdevError('EINVAL', `msixOwner is device; the MSI-X table in ${bar.name} is memory that nobody watches`);
  }
}

/** A table in plain memory is storage: the client emulates it (`msixOwner`). */
function isPlainMemory(
  { region: index, offset }: { readonly region: number; readonly offset: number },
  size: number,
  regions: Regions,
): boolean {
  const bar = barsOf(regions).find((candidate) => candidate.index === index);
  return bar?.region.kind === 'memory' && offset + size <= bar.region.size;
}

function checkPart(
  what: string,
  name: string,
  place: { readonly region: number; readonly offset: number },
  stride: number,
  count: number,
  regions: Regions,
): void {
  const where = `the MSI-X capability has its ${what} at 0x${place.offset.toString(16)} of BAR ${place.region}`;
  const bar = barsOf(regions).find(({ index }) => index === place.region);
  if (bar?.region.kind !== 'mmio')
    throw new DeclarationError(`${where}, which is no BAR with registers; declare it with mmio(…)`);
  const found = declared(bar.region.block.registers[name]);
  if (found?.offset === place.offset && found.stride === stride && found.count >= count) return;
  const there =
    found === undefined
      ? `has no ${name}`
      : `has ${name} at 0x${found.offset.toString(16)}: ${found.count} elements of ${found.stride} bytes`;
  throw new DeclarationError(
    `${where}: expected ${count} elements of ${stride} bytes there; its block ${there}; declare it with msixRegisters(…)`,
  );
}

function declared(item: Register | RegisterArray | { readonly kind: 'group' } | undefined): RegisterArray | undefined {
  return item?.kind === 'array' ? item : undefined;
}
