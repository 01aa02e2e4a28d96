/** Checks of what a backend hands in. The messages name the value, and what was expected. */

/** @throws RangeError unless `value` is an integer from `minimum` to `maximum`. */
export function checkInteger(name: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new RangeError(`${name} is ${String(value)}; expected an integer from ${minimum} to ${maximum}`);
}

/** Bytes of a bitmap with a bit for every operation code. */
const OPERATION_BYTES = 32;

/** @throws RangeError unless `operations` is a bitmap of operations, and each of them is in `available`. */
export function checkOperations(
  name: string,
  operations: Uint8Array,
  available: Uint8Array,
  whose: string,
): Uint8Array {
  if (operations.length !== OPERATION_BYTES) {
    throw new RangeError(`${name} has ${operations.length} bytes; expected ${OPERATION_BYTES}`);
  }
  for (const [index, byte] of operations.entries()) {
    const extra = byte & ~(available[index] ?? 0);
    if (extra !== 0) {
      const code = 8 * index + 31 - Math.clz32(extra & -extra);
      throw new RangeError(`${name} has operation 0x${code.toString(16).padStart(2, '0')}, which ${whose} has not`);
    }
  }
  return operations;
}
