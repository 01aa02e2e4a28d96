import { joined, longs, words } from './bytes.ts';

/** DMA_UNMAP, request and reply: 24 bytes. */
export interface DmaUnmap {
  readonly flags: number;
  readonly address: bigint;
  /** Bytes. */
  readonly size: bigint;
}
export const DMA_UNMAP_SIZE = 24;

export function encodeDmaUnmap(unmap: DmaUnmap): Uint8Array {
  return joined(words(DMA_UNMAP_SIZE, unmap.flags), longs(unmap.address, unmap.size));
}
