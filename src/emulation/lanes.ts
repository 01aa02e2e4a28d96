/**
 * Masks of the bytes that an access carries on a register: entry `8 * first + count - 1` covers `count` bytes from byte
 * `first` on, as signed 32-bit halves.
 */
export const LANES_LOW: Int32Array = lanes(0);
/** The high halves of {@link LANES_LOW}. */
export const LANES_HIGH: Int32Array = lanes(4);

function lanes(base: number): Int32Array {
  const masks = new Int32Array(64);
  for (let first = 0; first < 8; first++)
    for (let count = 1; first + count <= 8; count++)
      for (let byte = Math.max(first, base); byte < Math.min(first + count, base + 4); byte++)
        masks[8 * first + count - 1] = (masks[8 * first + count - 1] ?? 0) | (0xff << (8 * (byte - base)));
  return masks;
}
