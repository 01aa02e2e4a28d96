import type { EVENT_LOGS } from './values.ts';
import type { DsaFeatures, DsaVersion } from './versions.ts';

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
  /**
   * Share of engines that others use too, 1 to 15, whatever the guest says in WQCFG.MODE.priority; and what that says in a
   * device that is not configurable. 0 where all engines are the instance's own: then the guest decides.
   */
  readonly priority: number;
  /** The most bytes of one descriptor, as a power of two. */
  readonly maxTransferShift: number;
  /** The most descriptors of one batch, as a power of two. */
  readonly maxBatchShift: number;
  /** Of the specification: VERSION. */
  readonly version: DsaVersion['code'];
  /** What GENCAP says of descriptors, besides their sizes. */
  readonly features: DsaFeatures;
  /** The operations, one bit per opcode, 64 opcodes per word (OPCAP). */
  readonly operations: readonly [bigint, bigint, bigint, bigint];
  /** Commands 13 and 14: the guest must ask for interrupt handles. */
  readonly interruptHandles: boolean;
  /** What its queues may be (WQCAP bits 48 and 49). Dedicated when absent. */
  readonly queueModes?: 'dedicated' | 'shared' | 'both';
  /** Bytes of an entry of its event log (GENCAP bits 14:13). Off when absent. */
  readonly eventLog?: (typeof EVENT_LOGS)[number];
  /**
   * The function has ATS, PASID and PRI, which a platform may hide. Its engines reach the function's own memory by every
   * PASID. False when absent.
   */
  readonly pasid?: boolean;
}
