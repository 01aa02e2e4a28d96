import type { MmapArea, RegionCapabilities } from '../../../mdev/index.ts';
import { joined, longs, viewOf, words } from './bytes.ts';

/** VFIO_REGION_INFO_CAP_*. */
const RegionCapabilityId = { sparseMmap: 1, type: 2, msixMappable: 3 } as const;

/** The front of a capability: id u16, version u16, and where the next one begins (u32, from the start of the reply's body; 0: there is none). */
const HEADER_SIZE = 8;
const AREA_SIZE = 16;

/**
 * Decodes the capabilities of GET_REGION_INFO's reply. Undefined when the chain leaves the body, goes backwards or overlaps, or when what a capability
 * says does not fit; one of an unknown kind is passed over.
 *
 * @param body the whole body.
 * @param first where the first one begins, bytes.
 */
export function decodeRegionCapabilities(body: Uint8Array, first: number): RegionCapabilities | undefined {
  const view = viewOf(body);
  let known: RegionCapabilities = {};
  for (let at = first; at !== 0;) {
    if (at + HEADER_SIZE > body.length) return undefined;
    const id = view.getUint16(at, true);
    const next = view.getUint32(at + 4, true);
    if (next !== 0 && next < at + HEADER_SIZE) return undefined;
    const one = decodeOne(id, body.subarray(at + HEADER_SIZE, next === 0 ? body.length : next));
    if (one === undefined) return undefined;
    known = { ...known, ...one };
    at = next;
  }
  return known;
}

function decodeOne(id: number, data: Uint8Array): RegionCapabilities | undefined {
  const view = viewOf(data);
  switch (id) {
    case RegionCapabilityId.sparseMmap: {
      const count = data.length < 8 ? Infinity : view.getUint32(0, true);
      if (data.length < 8 + count * AREA_SIZE) return undefined;
      const areas = Array.from({ length: count }, (_, index) => ({
        offset: Number(view.getBigUint64(8 + index * AREA_SIZE, true)),
        size: Number(view.getBigUint64(16 + index * AREA_SIZE, true)),
      }));
      const isExact = areas.every(({ offset, size }) => Number.isSafeInteger(offset) && Number.isSafeInteger(size));
      return isExact ? { mmapAreas: areas } : undefined;
    }
    case RegionCapabilityId.type:
      if (data.length < 8) return undefined;
      return { type: view.getUint32(0, true), subtype: view.getUint32(4, true) };
    case RegionCapabilityId.msixMappable:
      return { msixMappable: true };
    default:
      return {};
  }
}

/**
 * The capabilities of a reply, as they stand behind the first `at` bytes of its body; nothing when there are none.
 *
 * @param at a multiple of 8.
 */
export function encodeRegionCapabilities(capabilities: RegionCapabilities, at: number): Uint8Array {
  const { mmapAreas, msixMappable, subtype, type } = capabilities;
  const list: { readonly id: number; readonly data: Uint8Array }[] = [];
  if (mmapAreas !== undefined) {
    list.push({
      id: RegionCapabilityId.sparseMmap,
      data: joined(words(mmapAreas.length, 0), ...mmapAreas.map(encodeArea)),
    });
  }
  if (type !== undefined) list.push({ id: RegionCapabilityId.type, data: words(type, subtype ?? 0) });
  if (msixMappable === true) list.push({ id: RegionCapabilityId.msixMappable, data: new Uint8Array(0) });
  const pieces: Uint8Array[] = [];
  let next = at;
  for (const [index, { data, id }] of list.entries()) {
    next += HEADER_SIZE + data.length;
    pieces.push(words(id | (1 << 16), index === list.length - 1 ? 0 : next), data);
  }
  return joined(...pieces);
}

function encodeArea({ offset, size }: MmapArea): Uint8Array {
  return longs(BigInt(offset), BigInt(size));
}
