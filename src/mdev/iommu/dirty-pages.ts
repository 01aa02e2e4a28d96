/** Bytes of a page that {@link DirtyPages} knows of. */
export const DIRTY_PAGE = 4096n;
const PAGE = Number(DIRTY_PAGE);

interface Piece {
  readonly iova: bigint;
  readonly size: bigint;
  /** A bit for each page, bit 0 of byte 0 first. */
  readonly bitmap: Uint8Array;
}

/** Pages that somebody wrote who is not there any more, by their addresses. */
export class DirtyPages {
  readonly #pieces = new Map<string, Piece>();

  /** @param bitmap a bit for each page of the range; whole pages. */
  add(iova: bigint, size: bigint, bitmap: Uint8Array): void {
    if (bitmap.every((byte) => byte === 0)) return;
    const key = `${iova} ${size}`;
    const known = this.#pieces.get(key);
    if (known === undefined) this.#pieces.set(key, { iova, size, bitmap });
    else for (const [at, byte] of bitmap.entries()) known.bitmap[at] = (known.bitmap[at] ?? 0) | byte;
  }

  /** Sets the bits of a range in `into`, which has one for each `pageSize` bytes, and forgets the pages that are whole in it. */
  report(iova: bigint, length: bigint, pageSize: bigint, into: Uint8Array): void {
    this.#take(iova, length, (from, to) => {
      for (let bit = Math.floor(from / Number(pageSize)); bit * Number(pageSize) < to; bit++) setBit(into, bit);
    });
  }

  /** Forgets the pages that are whole in a range. */
  forget(iova: bigint, length: bigint): void {
    this.#take(iova, length, () => undefined);
  }

  /** Visits the parts of pages that are in a range, by their offsets in it, and forgets the pages that are whole in it. */
  #take(iova: bigint, length: bigint, visit: (from: number, to: number) => void): void {
    for (const [key, piece] of this.#pieces) {
      if (piece.iova >= iova + length || iova >= piece.iova + piece.size) continue;
      // Of the range and the piece, only what they share is gone through.
      const first = iova > piece.iova ? (iova - piece.iova) / DIRTY_PAGE : 0n;
      const end = iova + length < piece.iova + piece.size ? iova + length - piece.iova : piece.size;
      const shift = Number(piece.iova - iova);
      for (let page = Number(first); page * PAGE < Number(end); page++) {
        if (!hasBit(piece.bitmap, page)) continue;
        const from = shift + page * PAGE;
        const to = Math.min(from + PAGE, Number(length));
        const start = Math.max(from, 0);
        visit(start, to);
        if (start === from && to === from + PAGE) clearBit(piece.bitmap, page);
      }
      if (piece.bitmap.every((byte) => byte === 0)) this.#pieces.delete(key);
    }
  }

  clear(): void {
    this.#pieces.clear();
  }
}

/** Sets a bit of a bitmap. */
export function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}

function clearBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) & ~(1 << (bit & 7));
}

function hasBit(bitmap: Uint8Array, bit: number): boolean {
  return (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}
