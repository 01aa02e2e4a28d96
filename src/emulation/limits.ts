/** Bytes that one page of the register index covers. */
export const PAGE_SIZE = 4096;
/** log2 of {@link PAGE_SIZE}. */
export const PAGE_SHIFT = 12;
/** Pages of a block; 0xffff marks an absent page in the native table's directory. */
export const MAX_PAGES = 0xffff;
/** Registers of a block; the native table's index counts them from 1 in 16 bits. */
export const MAX_REGISTERS = 0xffff;
/** Locks of a block, and of an array element: one bit each in a 32-bit word. */
export const MAX_LOCKS = 32;
