import type { Group } from './group.ts';
import type { TypedCapabilities } from './typed-capabilities.ts';

/** A register in each element of an array of registers. */
export interface RegisterPlaces {
  /** Byte offset of the first element's. */
  readonly offset: number;
  /** Bytes from one element's to the next. */
  readonly stride: number;
}

/**
 * Where the device has the registers that engines read and change, as byte offsets in the memory of its register
 * region. All of them must be declared `shared`: a {@link QueueDevice} refuses others.
 */
export interface SharedRegisters {
  /** SWERROR, four 64-bit words (DSA specification 9.2.15). */
  readonly softwareError: number;
  /** INTCAUSE, 32 bits: bit 0 is set for software errors (9.2.11). */
  readonly interruptCause: number;
  /** GENCTRL, 32 bits: bit 0 enables the interrupt for software errors (9.2.9). */
  readonly generalControl: number;
  /** Bytes 24 to 27 of each WQCFG: bits 15:0 are the occupancy, which engines keep (9.2.24). */
  readonly workQueueStatus: RegisterPlaces;
  /** MSIXPERM of each vector, 32 bits (9.2.25). */
  readonly msixPermissions: RegisterPlaces;
  /**
   * EVLSTATUS, 64 bits: head in bits 15:0, tail in bits 47:32 and interrupt pending in bit 62 (9.2.17). GENCTRL bit 2 enables
   * the interrupt then, and INTCAUSE bit 5 is set for it. Absent in a device without event log.
   */
  readonly eventLogStatus?: number;
}

/** What descriptors may do, as the device's capability registers say (DSA specification 9.2.2 to 9.2.6). */
export interface QueueCapabilities {
  /** GENCAP bit 1: source and destination of a memory move may overlap. */
  readonly overlappingMove: boolean;
  /** GENCAP bits 20:16: the largest transfer is 2^n bytes, 0 to 31. */
  readonly maxTransferShift: number;
  /** GENCAP bits 24:21: the largest batch has 2^n descriptors, 0 to 15. */
  readonly maxBatchShift: number;
  /** GENCAP bit 52: a batch may have one descriptor. False when absent. */
  readonly batchOfOne?: boolean;
  /** GENCAP bit 2: the cache-write hint may be set; memory here is always coherent. True when absent. */
  readonly cacheControl?: boolean;
  /**
   * Address translation services are on: translations may be fetched. Without, that operation is not supported, whatever
   * `operations` says (8.3.11). False when absent.
   */
  readonly addressTranslation?: boolean;
  /** GENCAP bit 7: translations may be fetched a stride apart. False when absent. */
  readonly translationStride?: boolean;
  /** GENCAP bit 8: a readback of the destination may be asked for; memory here is always coherent. False when absent. */
  readonly destinationReadback?: boolean;
  /** GENCAP bit 9: a drain may name addresses that are read back when all is done. False when absent. */
  readonly drainReadback?: boolean;
  /** GENCAP bit 10: the pattern of a fill may have 16 bytes. False when absent. */
  readonly fillPattern16?: boolean;
  /** GENCAP bit 11: checksums may have 64 bits. False when absent. */
  readonly crc64?: boolean;
  /** GENCAP bit 12: records name the operand that faulted. False when absent. */
  readonly faultInfo?: boolean;
  /** GENCAP bit 15: batches can be continued, and their records have a result. False when absent. */
  readonly batchContinuation?: boolean;
  /** OPCAP, 32 bytes: bit n is operation code n. At most what `supportedOperations` says. */
  readonly operations: Uint8Array;
  /**
   * What there is of typed operations and of scatter-gather lists, from version 3.0 on. At most what
   * `supportedTypedCapabilities` says. Nothing when absent.
   */
  readonly typed?: TypedCapabilities;
}

/** What a {@link QueueDevice} is made of. */
export interface QueueDeviceOptions {
  /** VFIO index of the region with the portals, at least 16 KiB for each queue. */
  readonly portalRegion: number;
  /** VFIO index of the region with the registers. */
  readonly registerRegion: number;
  /** Work queues, 1 to 256. */
  readonly queues: number;
  /** Interrupt handles that descriptors may name: MSI-X vectors 0 to this - 1. */
  readonly vectors: number;
  readonly registers: SharedRegisters;
  readonly capabilities: QueueCapabilities;
}

/** EVLCFG of a device that is enabled (DSA specification 9.2.16). */
export interface EventLogConfig {
  /** Whose engines write it. */
  readonly group: Group;
  /** Guest address of the first entry, 64 bits, a multiple of 4,096. Nothing need be mapped there. */
  readonly address: bigint;
  /** Entries, 64 to 65,535. One is always free. */
  readonly entries: number;
  /** Bytes of an entry (GENCAP bits 14:13). What an entry tells is in the first 64, the rest is zero. */
  readonly entrySize: 64 | 128 | 256;
}

/** WQCFG of a queue that is enabled (DSA specification 9.2.24). */
export interface WorkQueueConfig {
  /** The engines' group. */
  readonly group: Group;
  /** Entries, 1 to 65,535. */
  readonly size: number;
  /**
   * A dedicated queue takes posted writes of 64 bytes (MOVDIR64B). A shared one takes those that are not posted (ENQCMD),
   * and refuses them with EAGAIN when it cannot. Both take descriptors that smaller writes put together.
   */
  readonly mode: 'dedicated' | 'shared';
  /** A limited portal of a shared queue takes descriptors while fewer than this wait for an engine, 0 to `size`. */
  readonly threshold: number;
  /** 1 to 15, see {@link Group}. */
  readonly priority: number;
  /** The largest transfer is 2^n bytes, at most what the device has. */
  readonly maxTransferShift: number;
  /** The largest batch has 2^n descriptors, at most what the device has. */
  readonly maxBatchShift: number;
  /**
   * WQCFG bits 12:9 of version 3.0: the longest scatter-gather list has 2^n entries, at most what the device has. Absent
   * where there are no lists.
   */
  readonly maxListShift?: number;
  /** The operations that the queue takes, 32 bytes; all of the device's when absent. */
  readonly operations?: Uint8Array;
  /** Descriptors may set the block-on-fault flag, which has no effect without page requests. False when absent. */
  readonly blockOnFault?: boolean;
  /** GENCFG bit 12: descriptors of a queue with an unprivileged PASID may ask for interrupts. True when absent. */
  readonly userInterrupts?: boolean;
  /**
   * The PASID that descriptors act for, 20 bits. Without one, only MSIXPERM entries without one can be used. In a shared
   * queue every descriptor names its own, in bytes 0 to 3: any value here says that they do.
   */
  readonly pasid?: number;
  /** The PASID is a privileged one; in a shared queue, descriptors may name privileged ones. False when absent. */
  readonly privileged?: boolean;
}
