/** What the function shows of PASIDs, and what its guest has enabled (PASID.CONTROL). */
export interface PasidState {
  /** There is a PASID capability that the guest sees. */
  readonly shown: boolean;
  readonly enabled: boolean;
  /** Privileged mode is enabled, too. */
  readonly privileged: boolean;
}

/** Of a function without PASIDs. */
export const NO_PASIDS: PasidState = { shown: false, enabled: false, privileged: false };
