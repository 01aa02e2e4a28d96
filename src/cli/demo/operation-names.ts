/** Names of the operations, for the command line, in their order. */
export const OPERATION_NAMES = ['move', 'compare', 'overlap', 'differ', 'fill', 'crc', 'batch'] as const;
/** One of {@link OPERATION_NAMES}. */
export type OperationName = (typeof OPERATION_NAMES)[number];
