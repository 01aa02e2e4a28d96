import { viewOf } from '../base/bytes.ts';
import { DeviceFeature, FEATURE_DATA_MAX } from './features.ts';
import {
  dirtyBitmapBytes,
  DMA_LOGGING_REPORT_SIZE,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
} from '../dma/dma-logging-data.ts';
import { type IrqLine, IrqLines } from './irq-lines.ts';
import type { InterruptMessage } from '../interrupts/interrupt-message.ts';
import type { MappedRegion } from './mapped-region.ts';
import { VfioError } from './vfio-error.ts';
import {
  checkAddress,
  checkRange,
  type DmaMapRequest,
  type DmaRange,
  type FeatureRequest,
  type SetIrqsRequest,
  type WriteOptions,
} from './vfio-requests.ts';
import type { DeviceInfo, IrqInfo, RegionInfo } from './vfio.ts';

/**
 * Gets how often a vector has fired since the last call. In this process, when the instance owns the MSI-X table (`PlatformCapabilities.msixOwner`), also
 * the message that the guest programmed for it at that time.
 */
export type IrqListener = (count: number, message?: InterruptMessage) => void;

/**
 * A device as its VMM sees it: VFIO's requests, in one vocabulary, whether the device is an instance in this process (`DeviceSession`) or behind a
 * vfio-user socket (`Client`). A VMM or a test written for this class runs on either.
 *
 * Requests take effect in the order in which they are made, and may be made without waiting. Every method rejects with a {@link VfioError}, and with
 * nothing else.
 */
export abstract class VfioDevice implements AsyncDisposable {
  readonly #lines = new IrqLines((request) => this.setIrqs(request));

  /**
   * VFIO_DEVICE_GET_INFO.
   *
   * @throws {@link VfioError} as every method: of a device that was let go, or behind a connection that has ended.
   */
  abstract info(): Promise<DeviceInfo>;

  /**
   * VFIO_DEVICE_GET_REGION_INFO.
   *
   * @param index VFIO region index; `EINVAL` when the device has none of it.
   */
  abstract regionInfo(index: number): Promise<RegionInfo>;

  /**
   * VFIO_DEVICE_GET_IRQ_INFO.
   *
   * @param index VFIO irq index; `EINVAL` when the device has none of it.
   */
  abstract irqInfo(index: number): Promise<IrqInfo>;

  /**
   * Reads a region: 1, 2, 4 or 8 bytes are one access of a register; more are split as registers, or a server's messages, want it. `EINVAL`: there is
   * no such region, it may not be read, or the range is not in it. `EIO`: memory decode is off. When the device's code fails, its instance is cut off, and
   * the answer is what a bus gives without a device: all ones, and no error.
   *
   * @param offset bytes, 0 to 2^53 - 1.
   * @param count bytes.
   */
  abstract readRegion(region: number, offset: number, count: number): Promise<Uint8Array>;

  /**
   * Writes a region, as {@link readRegion} reads one. What is not posted is a deferrable memory write (DMWr) to those who look: the portals of work
   * queues, at 64 bytes.
   *
   * @throws {@link VfioError} `EINVAL`: there is no such region, it may not be written, or the range is not in it; `EIO`: memory decode is off; `EAGAIN`:
   * nothing was done, because the device has no room now, or takes only posted writes there.
   */
  abstract writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void>;

  /**
   * Maps into this process what of a region can be mapped (`mmap` of a VFIO region). The views share the device's memory without any request; they stay
   * valid as long as they are used, whatever becomes of the device, and the mapping ends with the last of them.
   *
   * Only a file that cannot shrink is mapped (a memfd of ordinary pages, sealed with F_SEAL_SHRINK), as those of this package are: with any other one, a
   * server could have this process killed.
   *
   * `EINVAL`: there is no such region, nothing of it can be mapped, or an area has more than 4 GiB; `EPERM`: the file may shrink; `EPROTO`: areas and files do not fit the region;
   * `E2BIG`: more than 256 areas; `ENOMEM`.
   *
   * @param index VFIO region index.
   */
  abstract mapRegion(index: number): Promise<MappedRegion>;

  /** VFIO_DEVICE_SET_IRQS: `EINVAL`; `ENOTTY` for an action that the index does not have. */
  abstract setIrqs(request: SetIrqsRequest): Promise<void>;

  /**
   * Gives the device guest memory. `EINVAL`: not page-aligned, empty, no access, or not a file that can be guest memory; `EEXIST`: overlaps a map;
   * `EACCES`: the file cannot be written; `ENOSPC`: too many maps.
   */
  abstract dmaMap(request: DmaMapRequest): Promise<void>;

  /** Takes guest memory away; what the device still does with it ends first. `ENOENT`: nothing is mapped there; `EINVAL`: it would split a map. */
  abstract dmaUnmap(range: DmaRange): Promise<void>;

  /**
   * Takes guest memory away and tells which of its pages the device wrote: a bit for each `pageSize` bytes, in order, in words of 64 bits. `EINVAL` also:
   * dirty pages of the range are not logged.
   *
   * @param pageSize bytes, a power of two.
   */
  abstract dmaUnmapDirty(range: DmaRange, pageSize: bigint): Promise<Uint8Array>;

  /**
   * Takes all guest memory away; nothing happens when there is none.
   *
   * @throws {@link VfioError} as {@link info}.
   */
  abstract dmaUnmapAll(): Promise<void>;

  /**
   * VFIO_DEVICE_FEATURE. `ENOTTY`: the device does not have the feature; `EINVAL`: the feature cannot do this, or the data does not fit.
   *
   * @returns the feature's data.
   */
  abstract feature(request: FeatureRequest): Promise<Uint8Array>;

  /**
   * Reads from the stream of a migration, in a saving state.
   *
   * @param size bytes at most; fewer: there are no more for now.
   * @throws {@link VfioError} `EINVAL` in any other state.
   */
  abstract readMigrationData(size: number): Promise<Uint8Array>;

  /**
   * Writes to the stream of a migration, in the resuming state.
   *
   * @throws {@link VfioError} `EINVAL` in any other state, or when the stream is refused.
   */
  abstract writeMigrationData(data: Uint8Array): Promise<void>;

  /** VFIO_DEVICE_RESET: registers have their reset values; eventfds and memory stay. `EIO`: the device has failed. */
  abstract reset(): Promise<void>;

  /** Lets go of the device, which keeps its state. Requests under way are rejected. Idempotent. */
  abstract close(): Promise<void>;

  /** VFIO_DEVICE_FEATURE_MIGRATION: bits of `MigrationFlag`. `ENOTTY`: the device cannot be migrated. */
  async migrationFlags(): Promise<number> {
    return Number(await this.#long(DeviceFeature.migration));
  }

  /** VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: where the device is, a number of `MigrationState`. `ENOTTY` as above. */
  async migrationState(): Promise<number> {
    const request = { index: DeviceFeature.migrationDeviceState, get: true, replySize: 8 };
    return viewOf(await this.feature(request)).getUint32(0, true);
  }

  /**
   * Moves the device to another state of `MigrationState`, step by step. `EINVAL`: there is no way, or the stream that was written is refused, which
   * leaves the device as it was; `ETIMEDOUT`: it did not stop in time, and goes on, or was not saved in time, and stays stopped; `ECANCELED`:
   * it was reset meanwhile; `EIO`: its vendor's part failed. It is in the last state that it reached then (`migrationState`).
   */
  async setMigrationState(state: number): Promise<void> {
    const data = new Uint8Array(8);
    viewOf(data).setUint32(0, state, true);
    await this.feature({ index: DeviceFeature.migrationDeviceState, set: true, data });
  }

  /** VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: about how many bytes of the stream are still to be read when the device stops now. `ENOTTY` as above. */
  stopCopySize(): Promise<bigint> {
    return this.#long(DeviceFeature.migrationDataSize);
  }

  /**
   * VFIO_DEVICE_FEATURE_DMA_LOGGING_START: from now on the device's writes to guest memory are logged. An identical repeat succeeds. `EINVAL`: a range is
   * empty, not aligned to the page size, or overlaps another, or something else is logged; `EOVERFLOW`: a range wraps; `E2BIG`: more than 256 ranges;
   * `ENOSPC`: beyond the limit of the log's memory; `ENOMEM`.
   *
   * @param pageSize bytes, a power of two; a hint.
   * @param ranges none: all that is mapped, now or later.
   * @returns the bytes of a page that is logged.
   */
  async dmaLoggingStart(pageSize: bigint, ranges: readonly DmaRange[] = []): Promise<bigint> {
    checkAddress('deviceFeature', 'pageSize', pageSize);
    for (const range of ranges) checkRange('deviceFeature', range);
    const data = encodeDmaLoggingStart({ pageSize, ranges });
    return viewOf(await this.feature({ index: DeviceFeature.dmaLoggingStart, set: true, data })).getBigUint64(0, true);
  }

  /** VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP: ends logging; what was not reported is lost. Idempotent. */
  async dmaLoggingStop(): Promise<void> {
    await this.feature({ index: DeviceFeature.dmaLoggingStop, set: true });
  }

  /**
   * VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: reads and clears which pages of a range the device wrote. `EINVAL`: nothing is logged, the arguments do not
   * fit, or the bitmap would have more than a MiB, less 24 bytes; `EOVERFLOW`: the range wraps; `ENOENT`: a part is not logged, or, if everything is,
   * nothing is mapped there.
   *
   * @param pageSize bytes of a bit; any power of two up to the range's size, whatever page size is logged.
   * @returns the bitmap, in whole 64-bit words: bit 0 of byte 0 is the page at `iova`.
   */
  async dmaLoggingReport(range: DmaRange, pageSize: bigint): Promise<Uint8Array> {
    checkRange('deviceFeature', range);
    checkAddress('deviceFeature', 'pageSize', pageSize);
    if (pageSize === 0n) throw VfioError.badArgument('deviceFeature', 'pageSize is 0; expected a power of two');
    const size = dirtyBitmapBytes(range.size, pageSize) + BigInt(DMA_LOGGING_REPORT_SIZE);
    if (size > BigInt(FEATURE_DATA_MAX)) {
      throw VfioError.badArgument(
        'deviceFeature',
        `the answer has ${size} bytes; expected at most ${FEATURE_DATA_MAX}`,
      );
    }
    const data = encodeDmaLoggingReport({ ...range, pageSize });
    const request = { index: DeviceFeature.dmaLoggingReport, get: true, data, replySize: Number(size) };
    return (await this.feature(request)).subarray(DMA_LOGGING_REPORT_SIZE);
  }

  async #long(index: number): Promise<bigint> {
    return viewOf(await this.feature({ index, get: true, replySize: 8 })).getBigUint64(0, true);
  }

  /**
   * Calls back when a vector fires, by an eventfd that it gets for this. Keeps the event loop alive until the line is closed. A vector has one eventfd: a
   * later line takes it over, and the earlier one is silent. `EINVAL`: there is no such vector; `EMFILE`, `ENFILE`: there can be no eventfd.
   *
   * @param index VFIO irq index.
   */
  onIrq(index: number, vector: number, listener: IrqListener): Promise<IrqLine> {
    return this.#lines.open(index, vector, listener);
  }

  /** Reads a register of 1, 2 or 4 bytes in one access. */
  async readRegister(region: number, offset: number, width: 1 | 2 | 4): Promise<number> {
    const view = viewOf(await this.readRegion(region, offset, width));
    return width === 1 ? view.getUint8(0) : width === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
  }

  /** Writes a register of 1, 2 or 4 bytes in one access; higher bits of `value` are dropped. */
  writeRegister(
    region: number,
    offset: number,
    width: 1 | 2 | 4,
    value: number,
    options?: WriteOptions,
  ): Promise<void> {
    const data = new Uint8Array(4);
    viewOf(data).setUint32(0, value, true);
    return this.writeRegion(region, offset, data.subarray(0, width), options);
  }

  /** Reads a register of 8 bytes in one access. */
  async readRegister64(region: number, offset: number): Promise<bigint> {
    return viewOf(await this.readRegion(region, offset, 8)).getBigUint64(0, true);
  }

  /** Writes a register of 8 bytes in one access. */
  writeRegister64(region: number, offset: number, value: bigint, options?: WriteOptions): Promise<void> {
    const data = new Uint8Array(8);
    viewOf(data).setBigUint64(0, value, true);
    return this.writeRegion(region, offset, data, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
