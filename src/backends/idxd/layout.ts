// Where everything is in BAR0, and how large the BARs are. DSA specification 9.1 to 9.3.

/** Bytes of BAR0. */
export const CONTROL_SIZE = 0x1_0000;
/** Unit of the offsets in the OFFSETS register, bytes. */
export const OFFSET_UNIT = 0x100;

/** EVLCFG, then EVLSTATUS. */
export const EVENT_LOG_OFFSET = 0xe0;
/** Bytes of both. */
export const EVENT_LOG_STRIDE = 0x20;
/** One 8-byte entry per MSI-X vector; room for 64. */
export const MSIXPERM_OFFSET = 0x400;
/** Bytes of an entry. */
export const MSIXPERM_STRIDE = 8;
/** One entry per group; room for 8. */
export const GRPCFG_OFFSET = 0x600;
/** Bytes of an entry. */
export const GRPCFG_STRIDE = 64;
/** One entry per queue; room for 96. */
export const WQCFG_OFFSET = 0x800;
/** Bytes of an entry; the operation bitmap is there. */
export const WQCFG_STRIDE = 64;
/** WQCAP.configSize N: an entry has 2^(N+5) bytes. */
export const WQCFG_SIZE_CODE = 1;
const MSIX_TABLE_OFFSET = 0x2000;
const MSIX_PBA_OFFSET = 0x3000;

/** Work queues that MSIXPERM has room for, beside vector 0. */
export const MAX_QUEUES = 63;
/** Groups that GRPCFG has room for. */
export const MAX_GROUPS = 8;
/** Engines that a group's bitmap can name. */
export const MAX_ENGINES = 64;
/** WQCAP.totalSize has 16 bits. */
export const MAX_ENTRIES = 0xffff;

/** Bytes of a queue's portals: unlimited and limited, each as MSI-X and as IMS page. */
export const PORTAL_STRIDE = 4 * 4096;

/**
 * Bytes of BAR2: the next power of two that holds the portals of all queues.
 * @param queues Work queues, a whole number from 1; not checked, a declaration with these bytes is.
 */
export function portalSize(queues: number): number {
  return 2 ** Math.ceil(Math.log2(queues * PORTAL_STRIDE));
}

/** The MSI-X table and its pending bits. */
export function msixPlaces(queues: number) {
  return {
    vectors: vectorCount(queues),
    table: { bar: 0, offset: MSIX_TABLE_OFFSET },
    pba: { bar: 0, offset: MSIX_PBA_OFFSET },
  } as const;
}

/**
 * MSI-X vectors: one for errors and commands, one per queue.
 * @param queues Work queues, a whole number from 1.
 */
export function vectorCount(queues: number): number {
  return queues + 1;
}
