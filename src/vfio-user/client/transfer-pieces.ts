/** A part of a transfer, bytes. */
export interface TransferPiece {
  readonly start: number;
  readonly size: number;
}

/** A transfer of `count` bytes in messages of at most `most`, in order; one of 0 bytes is one message. */
export function transferPieces(count: number, most: number): readonly TransferPiece[] {
  const pieces = [];
  let start = 0;
  do {
    const size = Math.min(count - start, most);
    pieces.push({ start, size });
    start += size;
  } while (start < count);
  return pieces;
}
