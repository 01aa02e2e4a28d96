import { constants } from 'node:os';

import type { DeviceCore } from '../../native/binding.ts';
import { dirtyBitmapBytes } from './dma-logging-data.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { checkAddress, checkRange, type DmaRange } from '../vfio/vfio-requests.ts';

/** Whose dirty pages are logged: a device, or all of a container. */
export type LoggedSpace = Pick<
  DeviceCore,
  'dirtyPageSize' | 'dmaUnmapReporting' | 'reportDirty' | 'startDirtyLog' | 'stopDirtyLog'
>;

const REQUEST = 'deviceFeature';
const LARGEST_BITMAP = 2n ** 30n;

/**
 * Which pages of guest memory the device wrote: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and _REPORT, by the addresses that the device used. Every
 * method throws a {@link VfioError}.
 */
export class DmaLogging {
  readonly #core: (request: string) => LoggedSpace;
  readonly #unmapped: (range: DmaRange) => void;

  /**
   * @param unmapped told of what {@link unmap} has taken away.
   * @internal
   */
  constructor(core: (request: string) => LoggedSpace, unmapped: (range: DmaRange) => void) {
    this.#core = core;
    this.#unmapped = unmapped;
  }

  /**
   * Starts to track. What is written after the return is reported. An identical repeat succeeds. `EINVAL`: a range is empty, not aligned to the page
   * size, or overlaps another; something else is tracked; `EOVERFLOW`: a range wraps; `E2BIG`: more than 256 ranges; `ENOSPC`: beyond the limit of the
   * log's memory; `ENOMEM`.
   *
   * @param pageSize bytes, a power of two; a hint.
   * @param ranges none: all that is mapped, now or later.
   * @returns the bytes of a page that is tracked.
   */
  start(pageSize: bigint, ranges: readonly DmaRange[] = []): bigint {
    checkAddress(REQUEST, 'pageSize', pageSize);
    for (const range of ranges) checkRange(REQUEST, range);
    const core = this.#core(REQUEST);
    check(REQUEST, core.startDirtyLog(pageSize, new BigUint64Array(ranges.flatMap(({ iova, size }) => [iova, size]))));
    return core.dirtyPageSize();
  }

  /** Ends tracking; what was not reported is lost. Idempotent. */
  stop(): void {
    this.#core(REQUEST).stopDirtyLog();
  }

  /**
   * Reads and clears the dirty pages of a range. `EINVAL`: nothing is tracked, or the arguments do not fit; `EOVERFLOW`: the range wraps; `ENOENT`: a
   * part is not tracked, or, if everything is, nothing is mapped there.
   *
   * @param pageSize bytes of a bit; any power of two up to the range's size, whatever page size is tracked.
   * @returns the bitmap, in whole 64-bit words: bit 0 of byte 0 is the page at `iova`.
   */
  report(range: DmaRange, pageSize: bigint): Uint8Array {
    const bitmap = bitmapFor(REQUEST, range, pageSize);
    check(REQUEST, this.#core(REQUEST).reportDirty(range.iova, range.size, pageSize, bitmap));
    return bitmap;
  }

  /** Takes guest memory away and reports its dirty pages, to the last write; as `dmaUnmap` and {@link report}. `EINVAL` also: a part is not tracked. */
  unmap(range: DmaRange, pageSize: bigint): Uint8Array {
    const bitmap = bitmapFor('dmaUnmap', range, pageSize);
    check('dmaUnmap', this.#core('dmaUnmap').dmaUnmapReporting(range.iova, range.size, pageSize, bitmap));
    this.#unmapped(range);
    return bitmap;
  }
}

/** Room for one bit for each page of the range. */
function bitmapFor(request: string, range: DmaRange, pageSize: bigint): Uint8Array {
  checkRange(request, range);
  checkAddress(request, 'pageSize', pageSize);
  if (range.size === 0n || pageSize === 0n) throw VfioError.refused(request, constants.errno.EINVAL);
  const bytes = dirtyBitmapBytes(range.size, pageSize);
  if (bytes <= LARGEST_BITMAP) return new Uint8Array(Number(bytes));
  throw VfioError.badArgument(request, `the bitmap has ${bytes} bytes; expected at most ${LARGEST_BITMAP}`);
}

function check(request: string, errno: number): void {
  if (errno !== 0) throw VfioError.refused(request, errno);
}
