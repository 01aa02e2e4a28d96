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
