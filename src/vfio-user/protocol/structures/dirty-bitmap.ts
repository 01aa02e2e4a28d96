import { dirtyBitmapBytes } from '../../../mdev/dma/dma-logging-data.ts';
import { joined, longs, viewOf, words } from './bytes.ts';
import { DMA_UNMAP_SIZE, type DmaUnmap } from './dma-unmap.ts';

/** VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP. */
const DMA_UNMAP_GET_DIRTY_BITMAP = 1;
/** Behind DMA_UNMAP's 24 bytes when the bitmap is asked for: page size u64 and bytes of bitmap u64; in the reply the bitmap follows. */
const DIRTY_BITMAP_SIZE = 16;

/** DMA_UNMAP that asks which pages the device wrote. */
export function encodeDmaUnmapDirty(range: Pick<DmaUnmap, 'address' | 'size'>, pageSize: bigint): Uint8Array {
  const bytes = dirtyBitmapBytes(range.size, pageSize);
  const argsz = DMA_UNMAP_SIZE + DIRTY_BITMAP_SIZE + Number(bytes);
  return joined(words(argsz, DMA_UNMAP_GET_DIRTY_BITMAP), longs(range.address, range.size, pageSize, bytes));
}

/** The bitmap of such a reply. Undefined unless it has `expected` bytes of it. */
export function decodeDmaUnmapDirty(body: Uint8Array, expected: bigint): Uint8Array | undefined {
  const front = DMA_UNMAP_SIZE + DIRTY_BITMAP_SIZE;
  if (BigInt(body.length) !== BigInt(front) + expected) return undefined;
  return viewOf(body).getBigUint64(DMA_UNMAP_SIZE + 8, true) === expected ? body.slice(front) : undefined;
}
