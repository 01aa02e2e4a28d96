/** The four words of OPCAP: bit n of all of them is opcode n. */
export type OperationWords = readonly [bigint, bigint, bigint, bigint];

/** The four words of OPCAP as the 32 bytes that engines take: bit n is opcode n. */
export function operationBytes(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(8 * words.length);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setBigUint64(8 * index, word, true);
  return bytes;
}

/** The 32 bytes of an operation bitmap as the four words of OPCAP. */
export function operationWords(bytes: Uint8Array): OperationWords {
  const padded = new Uint8Array(32);
  padded.set(bytes.subarray(0, 32));
  const view = new DataView(padded.buffer);
  return [
    view.getBigUint64(0, true),
    view.getBigUint64(8, true),
    view.getBigUint64(16, true),
    view.getBigUint64(24, true),
  ];
}

/** Operations that version 3.0 of the specification adds: a device of version 1.0 does not have them. */
const VERSION_3_OPERATIONS = [0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e];

/** Those of the operations that a device of version 1.0 has. All of them are in the first word. */
export function version1Operations([first, ...rest]: OperationWords): OperationWords {
  return [VERSION_3_OPERATIONS.reduce((word, opcode) => word & ~(1n << BigInt(opcode)), first), ...rest];
}
