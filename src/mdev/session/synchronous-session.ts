import { constants } from 'node:os';

import type { DeviceCore, DmaInfo } from '../../native/binding.ts';
import type { DmaLogging } from '../dma/dma-logging.ts';
import type { InterruptMessage } from '../interrupts/interrupt-message.ts';
import { isAbsentIrq } from '../vfio/device-info.ts';
import { mapRegion, type MappedRegion } from '../vfio/mapped-region.ts';
import {
  type DeviceInfo,
  type IrqInfo,
  type RegionInfo,
  VFIO_IRQS,
  VfioDeviceFlag,
  VfioIrqSetFlag,
} from '../vfio/vfio.ts';
import { SessionSva } from '../sva/session-sva.ts';
import {
  checkAccess,
  checkInteger,
  completeSetIrqs,
  type DmaMapRequest,
  type DmaRange,
  type FeatureRequest,
  type SetIrqsRequest,
  type WriteOptions,
} from '../vfio/vfio-requests.ts';
import { check, checkWithFds, failing, refuse } from './answers.ts';
import { ProgrammedMessages } from './programmed-messages.ts';
import { SessionFeatures } from './session-features.ts';
import { type HeldInstance, SessionInstance } from './session-instance.ts';
import { SessionMemory } from './session-memory.ts';

const { EINVAL } = constants.errno;

/**
 * What a {@link DeviceSession} does, done before each call returns: the requests of {@link VfioDevice} for a VMM in this process that cannot wait, or
 * need not. What takes guest memory away, resets the device or writes its config space waits on this thread until engines have left that memory, each at
 * the end of its chunk, which takes as long as its pages take to come: {@link DeviceSession} does the same without keeping the thread. Every method throws a {@link VfioError}: `ENODEV` after `close` and when the instance was taken away.
 */
export class SynchronousSession {
  /** Which pages of guest memory the device wrote. */
  readonly dmaLogging: DmaLogging;
  /** PASIDs, the address space behind each, and page requests. */
  readonly sva: SessionSva;
  readonly #instance: SessionInstance;
  readonly #memory: SessionMemory;
  readonly #features: SessionFeatures;
  readonly #messages: ProgrammedMessages;

  /** @internal */
  constructor(held: HeldInstance) {
    this.#instance = new SessionInstance(held);
    this.#memory = new SessionMemory(this.#instance);
    this.#features = new SessionFeatures(this.#instance);
    this.#messages = new ProgrammedMessages(this.#instance);
    this.dmaLogging = this.#memory.logging;
    this.sva = new SessionSva(this.#instance);
  }

  /** VFIO_DEVICE_GET_INFO. @throws {@link VfioError} `ENODEV`. */
  info(): DeviceInfo {
    this.#instance.check('deviceGetInfo');
    return {
      flags: VfioDeviceFlag.reset | VfioDeviceFlag.pci,
      regions: this.#instance.function.regions.length,
      irqs: VFIO_IRQS,
    };
  }

  /**
   * VFIO_DEVICE_GET_REGION_INFO.
   *
   * @param index VFIO region index.
   * @throws {@link VfioError} `EINVAL` when the device has none of it.
   */
  regionInfo(index: number): RegionInfo {
    this.#instance.check('deviceGetRegionInfo');
    checkInteger('deviceGetRegionInfo', 'the index', index);
    return this.#instance.function.regions[index] ?? refuse('deviceGetRegionInfo', EINVAL);
  }

  /**
   * VFIO_DEVICE_GET_IRQ_INFO.
   *
   * @param index VFIO irq index.
   * @throws {@link VfioError} `EINVAL` when there is no such index; ERR is one of PCI Express functions alone.
   */
  irqInfo(index: number): IrqInfo {
    this.#instance.check('deviceGetIrqInfo');
    checkInteger('deviceGetIrqInfo', 'the index', index);
    const info = this.#instance.function.irqInfos[index];
    return info === undefined || isAbsentIrq(index, info.count) ? refuse('deviceGetIrqInfo', EINVAL) : info;
  }

  /**
   * As {@link DeviceSession.readRegion}.
   *
   * @param offset bytes, 0 to 2^53 - 1.
   * @param count bytes.
   * @throws {@link VfioError} `EINVAL`, `EIO`, as there.
   */
  readRegion(region: number, offset: number, count: number): Uint8Array {
    checkAccess('regionRead', region, offset, count);
    const core = this.#instance.core('regionRead');
    // What the region cannot hold is refused before it is allocated.
    if (count > (this.#instance.function.regions[region]?.size ?? 0)) refuse('regionRead', EINVAL);
    const into = new Uint8Array(count);
    check('regionRead', core.read(region, offset, into));
    return into;
  }

  /**
   * As {@link DeviceSession.writeRegion}.
   *
   * @throws {@link VfioError} `EINVAL`, `EIO`, `EAGAIN`, as there; not what the device refuses, if it is posted.
   */
  writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): void {
    checkAccess('regionWrite', region, offset, data.length);
    const posted = options?.posted === true;
    const errno = this.#instance.core('regionWrite').write(region, offset, data, posted);
    if (!posted) check('regionWrite', errno);
  }

  /**
   * As {@link DeviceSession.mapRegion}.
   *
   * @throws {@link VfioError} `EINVAL`, `EPERM`, `E2BIG`, `ENOMEM`, as there.
   */
  mapRegion(index: number): MappedRegion {
    const info = this.regionInfo(index);
    return mapRegion(info, info.map?.fds ?? [], 0, info.map?.cache);
  }

  /**
   * VFIO_DEVICE_SET_IRQS.
   *
   * @throws {@link VfioError} `EINVAL`; `ENOTTY` for an action that the index does not have; `EBADF`, `EMFILE` when an eventfd cannot be duplicated.
   */
  setIrqs(request: SetIrqsRequest): void {
    const { action, booleans, count, data, eventfds, index, start } = completeSetIrqs(request);
    const flags = VfioIrqSetFlag[action] | VfioIrqSetFlag[data];
    const core = this.#instance.core('deviceSetIrqs');
    const bytes = data === 'bool' ? booleans : null;
    checkWithFds('deviceSetIrqs', () => core.setIrqs(flags, index, start, count, bytes, eventfds));
  }

  /**
   * As {@link DeviceSession.dmaMap}, into its container, if it shares one.
   *
   * @throws {@link VfioError} `EINVAL`, `EEXIST`, `EACCES`, `ENOSPC`, as there.
   */
  dmaMap(request: DmaMapRequest): void {
    this.#memory.map(request);
  }

  /**
   * As {@link DeviceSession.dmaUnmap}, out of its container, if it shares one.
   *
   * @throws {@link VfioError} `ENOENT`, `EINVAL`, as there.
   */
  dmaUnmap(range: DmaRange): void {
    this.#memory.unmap(range);
  }

  /** Takes all guest memory away, out of its container, too. @throws {@link VfioError} `ENODEV`. */
  dmaUnmapAll(): void {
    this.#memory.unmapAll();
  }

  /**
   * As {@link DeviceSession.invalidateVaddr}, in its container, if it shares one.
   *
   * @throws {@link VfioError} `EINVAL`, `ENOENT`, as there.
   */
  invalidateVaddr(range: DmaRange): void {
    this.#memory.invalidateVaddr(range);
  }

  /**
   * As {@link DeviceSession.restoreVaddr}, in its container, if it shares one.
   *
   * @throws {@link VfioError} `ENOENT`, `EINVAL`, `EACCES`, as there.
   */
  restoreVaddr(request: DmaMapRequest): void {
    this.#memory.restoreVaddr(request);
  }

  /**
   * VFIO_DEVICE_FEATURE.
   *
   * @returns the feature's data.
   * @throws {@link VfioError} `ENOTTY`, `EINVAL`, as {@link DeviceSession.feature}; `EOPNOTSUPP` for what may have to wait, which is setting the state of a
   * migration: the other one waits.
   */
  feature(request: FeatureRequest): Uint8Array {
    return this.#features.answer(request);
  }

  /** @internal {@link feature}, which may wait. */
  featureAnswer(request: FeatureRequest): Uint8Array | Promise<Uint8Array> {
    return this.#features.answerInTime(request);
  }

  /**
   * As {@link DeviceSession.readMigrationData}.
   *
   * @param size bytes at most.
   * @throws {@link VfioError} as there.
   */
  readMigrationData(size: number): Uint8Array {
    return this.#features.readMigrationData(size);
  }

  /** As {@link DeviceSession.writeMigrationData}. @throws {@link VfioError} as there. */
  writeMigrationData(data: Uint8Array): void {
    this.#features.writeMigrationData(data);
  }

  /**
   * VFIO_IOMMU_GET_INFO: what may be mapped at present, into its container, if it shares one.
   *
   * Only here: vfio-user has no such message. A `Client` reads what its server takes from `version` (`max_dma_maps`, `pgsizes`), once for all.
   *
   * @throws {@link VfioError} `ENODEV`.
   */
  dmaInfo(): DmaInfo {
    return this.#memory.info();
  }

  /**
   * What the guest programmed for an MSI-X vector, for a VMM whose instance owns the table.
   *
   * @throws {@link VfioError} `EINVAL` when there is no such vector.
   */
  msixMessage(vector: number): InterruptMessage {
    return this.#messages.msix(vector);
  }

  /**
   * As {@link msixMessage}, of MSI. Messages beyond what the guest gave share those.
   *
   * @throws {@link VfioError} `EINVAL` when there is no such message.
   */
  msiMessage(vector: number): InterruptMessage {
    return this.#messages.msi(vector);
  }

  /** What a vector that fires means, where the instance owns the table. @internal */
  firedMessage(index: number, vector: number): InterruptMessage | undefined {
    return this.#messages.fired(index, vector);
  }

  /**
   * VFIO_DEVICE_RESET.
   *
   * @throws {@link VfioError} `EIO` when the device has failed, or fails then.
   */
  reset(): void {
    failing('deviceReset', () => {
      this.#instance.reset('deviceReset');
    });
  }

  /** The device that is held, or all that share its address space: none when it is not. @internal */
  cores(shared: boolean): readonly DeviceCore[] {
    return this.#instance.cores(shared);
  }

  /** From now on every request throws; `close` is to follow. @internal */
  retire(): void {
    this.#instance.retire();
  }

  /** Lets go of the instance, which keeps its state. Idempotent. */
  close(): void {
    this.#instance.detach();
  }
}
