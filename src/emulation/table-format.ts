/**
 * The native register table, version 1: what {@link compile} writes and the C++ dispatcher reads. Little-endian.
 *
 * | part | size |
 * |---|---|
 * | header | 48 |
 * | entries, by ascending offset | 64 each |
 * | rules, those of one entry together | 16 each |
 * | directory: u16 per 4 KiB page of the block, index page or 0xffff | padded to 8 |
 * | index pages: u16[4096], 0 where no register lives, else 1 + entry | 8192 each |
 */
export const TABLE = {
  magic: 0x6d726567,
  version: 1,
  headerSize: 48,
  entrySize: 64,
  ruleSize: 16,
  indexPageSize: 8192,
  absentPage: 0xffff,
} as const;

/** Byte offsets in the header; all u32, the last 8 bytes are 0. */
export const HEADER = {
  magic: 0,
  version: 4,
  entryCount: 8,
  ruleCount: 12,
  directoryCount: 16,
  indexPageCount: 20,
  blockSize: 24,
  memorySize: 28,
  lockOffset: 32,
  stageOffset: 36,
} as const;

/** Byte offsets in an entry: u32 offset, four u8, two u32, and the planes as u64. */
export const ENTRY = {
  offset: 0,
  /** 1, 2, 4 or 8 bytes. */
  size: 4,
  flags: 5,
  /** Bit n: a write may carry 2^n bytes. 0: any number. */
  widths: 6,
  ruleCount: 7,
  firstRule: 8,
  stageIndex: 12,
  /** Six planes in the order of `PLANES`. */
  planes: 16,
} as const;

/** Bits of an entry's flags. */
export const ENTRY_FLAG = { trapRead: 1, trapWrite: 2, shared: 4, commitLast: 8 } as const;

/** Stage index of a register that stages nothing. */
export const NO_STAGE = 0xffffffff;

/**
 * Byte offsets in a rule: u32 index of the lock word (0 is the block's), u32 mask of locks in it, u64 register bits that
 * are frozen while any of these locks is held.
 */
export const RULE = { lockWord: 0, mask: 4, bits: 8 } as const;

/** Bytes of a staging slot in a region's memory: u64 data, u64 mask. */
export const STAGE_SIZE = 16;
