/** The log of the pages that a device writes: VFIO_DEVICE_FEATURE_DMA_LOGGING_*. */
export interface CoreDirtyLog {
  /**
   * Tracks what the device writes: VFIO_DEVICE_FEATURE_DMA_LOGGING_START. An identical repeat succeeds.
   *
   * @param pageSize a power of two, and a hint: {@link dirtyPageSize} is what is used.
   * @param ranges pairs of address and length in bytes, at most 256; none: all that is mapped, now or later.
   * @returns 0, EINVAL (page size, a range empty, unaligned or overlapping, something else is tracked), EOVERFLOW (a
   * range wraps), E2BIG (too many ranges), ENOSPC (beyond the limit of the log's memory) or ENOMEM.
   */
  startDirtyLog(pageSize: bigint, ranges: BigUint64Array): number;
  /** Ends tracking; what was not reported is lost. Idempotent. */
  stopDirtyLog(): void;
  /** Bytes of a page that is tracked; 0n when nothing is. */
  dirtyPageSize(): bigint;
  /**
   * Sets the bits of the dirty pages of a range, and forgets them: VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT.
   *
   * @param pageSize bytes of a bit; any power of two up to `length`.
   * @param bitmap bit 0 of byte 0 is the page at `iova`; whole 64-bit words, exactly as many as needed. No bit is cleared.
   * @returns 0, EINVAL (nothing is tracked, or the arguments do not fit), EOVERFLOW (the range wraps) or ENOENT (a part
   * is not tracked, or, if everything is, nothing is mapped there).
   */
  reportDirty(iova: bigint, length: bigint, pageSize: bigint, bitmap: Uint8Array): number;

  /**
   * As `dmaUnmap`, and sets the bits of the dirty pages, see {@link reportDirty}. EINVAL also: the range is not
   * tracked.
   */
  dmaUnmapReporting(iova: bigint, size: bigint, pageSize: bigint, bitmap: Uint8Array): number;
}
