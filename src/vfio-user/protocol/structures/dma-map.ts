import { joined, longs, words } from './bytes.ts';

/** DMA_MAP: 32 bytes. */
export interface DmaMap {
  /** {@link DmaRight} bits. */
  readonly flags: number;
  /** Where the range begins in the file. */
  readonly offset: bigint;
  readonly address: bigint;
  /** Bytes. */
  readonly size: bigint;
}
const DMA_MAP_SIZE = 32;

export function encodeDmaMap(map: DmaMap): Uint8Array {
  return joined(words(DMA_MAP_SIZE, map.flags), longs(map.offset, map.address, map.size));
}
