/** Bytes that wait to be read. */
export class OutgoingStream {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** Bytes that have not been read. */
  get length(): number {
    return this.#length;
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The next bytes, as many as there are up to `size`. */
  read(size: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(size, this.#length));
    for (let at = 0; at < bytes.length;) {
      const piece = this.#pieces[0];
      if (piece === undefined) break;
      const part = piece.subarray(0, bytes.length - at);
      bytes.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#length -= bytes.length;
    return bytes;
  }
}
