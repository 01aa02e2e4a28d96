/** What a device is to let go of: translations that it keeps by itself. */
export interface Invalidation {
  /** Of this PASID; of all when absent. */
  readonly pasid?: number;
  /** First byte of the range; everything when absent. */
  readonly iova?: bigint;
  /** Bytes of the range. */
  readonly size?: bigint;
}

/** What a behaviour is told of its PASIDs. Each is synchronous; one that throws fails the instance. */
export interface SvaBehaviour {
  /** A PASID has an address space now. */
  readonly attached?: (pasid: number) => void;
  /**
   * A PASID is about to lose its address space, or to get another one (`attached` follows). The memory is still there, so that what is in flight can be
   * ended as it should be: it is gone when this has returned, and page requests of this PASID are refused.
   */
  readonly detaching?: (pasid: number) => void;
  /** The VMM has changed what addresses mean: whatever the device keeps of translations in the range is void. Not told of a PASID that is detached. */
  readonly invalidated?: (what: Invalidation) => void;
}
