/** What one virtual DSA has and can do; every capability register follows from it. */
export interface DsaDescription {
  /** Work queues, 1 to 63. */
  readonly queues: number;
  /** Descriptors that all queues hold together (WQCAP.totalSize). */
  readonly entries: number;
  /** Groups, 1 to 8. */
  readonly groups: number;
  /** Engines, 1 to 64. */
  readonly engines: number;
  /**
   * GENCAP bit 31. A device that is not configurable has one queue with all entries in one group with its engine, and
   * says so in registers that the guest cannot write.
   */
  readonly configurable: boolean;
  /** WQCFG.MODE.priority of a device that is not configurable, 1 to 15. */
  readonly priority: number;
  /** The most bytes of one descriptor, as a power of two. */
  readonly maxTransferShift: number;
  /** The most descriptors of one batch, as a power of two. */
  readonly maxBatchShift: number;
  /** GENCAP bit 1: Memory Move takes overlapping buffers. */
  readonly overlappingMove: boolean;
  /** The operations, one bit per opcode, 64 opcodes per word (OPCAP). */
  readonly operations: readonly [bigint, bigint, bigint, bigint];
  /** Commands 13 and 14: the guest must ask for interrupt handles. */
  readonly interruptHandles: boolean;
}
