import { constants } from 'node:os';

import type { DeviceCore, DmaInfo } from '../native/binding.ts';
import { errnoOfError } from '../native/errno.ts';
import type { Attachment } from './attachment.ts';
import { answerFeature, DeviceFeature, type Feature, type FeatureAnswer } from './device-features.ts';
import type { Container } from './iommu/container.ts';
import { DmaLogging } from './dma-logging.ts';
import { dmaLoggingFeatures } from './dma-logging-features.ts';
import type { MsixMessage } from './irqs.ts';
import { MdevError } from './mdev-error.ts';
import { MessageMemory } from './message-memory.ts';
import { msiMessage, msiMessageSize } from './msi-message.ts';
import { mapRegion, type MappedRegion } from './mapped-region.ts';
import type { MdevFunction } from './function/mdev-function.ts';
import { migrationFeatures } from './migration/features.ts';
import type { MigrationMachine } from './migration/migration-machine.ts';
import {
  type DeviceInfo,
  type IrqInfo,
  type RegionInfo,
  VFIO_IRQS,
  VfioDeviceFlag,
  VfioIrq,
  VfioIrqSetFlag,
  VfioRegion,
} from './vfio.ts';
import { VfioError } from './vfio-error.ts';
import {
  checkAccess,
  checkFeature,
  checkInteger,
  checkRange,
  completeDmaMap,
  completeSetIrqs,
  type DmaMapRequest,
  type DmaRange,
  type FeatureRequest,
  type SetIrqsRequest,
  type WriteOptions,
} from './vfio-requests.ts';

const { EFAULT, EINVAL, EIO, ENOTSUP } = constants.errno;
const FEATURE = 'deviceFeature';

/** @internal What a session is made of. */
export interface HeldInstance {
  readonly attachment: Attachment;
  readonly function: MdevFunction;
  readonly reset: () => void;
  /** Undefined when it cannot be migrated. */
  readonly migration: MigrationMachine | undefined;
}

/**
 * What a {@link DeviceSession} does, done before each call returns: the requests of {@link VfioDevice} for a VMM in this process that cannot wait, or
 * need not. Every method throws a {@link VfioError}: `ENODEV` after `close` and when the instance was taken away.
 */
export class SynchronousSession {
  /** Which pages of guest memory the device wrote. */
  readonly dmaLogging = new DmaLogging(
    (request) => this.#logged(request),
    (range) => {
      this.#forget(range);
    },
  );
  readonly #attachment: Attachment;
  readonly #function: MdevFunction;
  readonly #reset: () => void;
  /** What answers for memory without a file. */
  readonly #memory = new MessageMemory();
  #answersMessages = false;

  readonly #migration: MigrationMachine | undefined;

  /** @internal */
  constructor(instance: HeldInstance) {
    this.#attachment = instance.attachment;
    this.#function = instance.function;
    this.#reset = instance.reset;
    this.#migration = instance.migration;
  }

  info(): DeviceInfo {
    this.#checkHeld('deviceGetInfo');
    return {
      flags: VfioDeviceFlag.reset | VfioDeviceFlag.pci,
      regions: this.#function.regions.length,
      irqs: VFIO_IRQS,
    };
  }

  regionInfo(index: number): RegionInfo {
    this.#checkHeld('deviceGetRegionInfo');
    checkInteger('deviceGetRegionInfo', 'the index', index);
    return this.#function.regions[index] ?? refuse('deviceGetRegionInfo', EINVAL);
  }

  irqInfo(index: number): IrqInfo {
    this.#checkHeld('deviceGetIrqInfo');
    checkInteger('deviceGetIrqInfo', 'the index', index);
    return this.#function.irqInfos[index] ?? refuse('deviceGetIrqInfo', EINVAL);
  }

  readRegion(region: number, offset: number, count: number): Uint8Array {
    checkAccess('regionRead', region, offset, count);
    const core = this.#core('regionRead');
    // What the region cannot hold is refused before it is allocated.
    if (count > (this.#function.regions[region]?.size ?? 0)) refuse('regionRead', EINVAL);
    const into = new Uint8Array(count);
    check('regionRead', core.read(region, offset, into));
    return into;
  }

  writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): void {
    checkAccess('regionWrite', region, offset, data.length);
    const errno = this.#core('regionWrite').write(region, offset, data);
    if (options?.posted !== true) check('regionWrite', errno);
  }

  mapRegion(index: number): MappedRegion {
    const info = this.regionInfo(index);
    return mapRegion(info, info.map?.fds ?? [], 0, info.map?.cache);
  }

  setIrqs(request: SetIrqsRequest): void {
    const { action, booleans, count, data, eventfds, index, start } = completeSetIrqs(request);
    const flags = VfioIrqSetFlag[action] | VfioIrqSetFlag[data];
    const core = this.#core('deviceSetIrqs');
    const bytes = data === 'bool' ? booleans : null;
    check(
      'deviceSetIrqs',
      withFds('deviceSetIrqs', () => core.setIrqs(flags, index, start, count, bytes, eventfds)),
    );
  }

  /** Into its container, if it shares one. */
  dmaMap(request: DmaMapRequest): void {
    const container = this.#container('dmaMap');
    if (container !== undefined) {
      container.dmaMap(request);
      return;
    }
    const { file, iova, memory, offset, rights, size } = completeDmaMap(request);
    const core = this.#core('dmaMap');
    if (file === undefined) this.#answerMessages(core);
    check(
      'dmaMap',
      withFds('dmaMap', () => core.dmaMap(iova, size, rights, file?.fd ?? -1, offset)),
    );
    if (file === undefined && memory !== undefined) this.#memory.accept({ address: iova, memory, rights });
  }

  dmaUnmap(range: DmaRange): void {
    const container = this.#container('dmaUnmap');
    if (container !== undefined) {
      container.dmaUnmap(range);
      return;
    }
    checkRange('dmaUnmap', range);
    check('dmaUnmap', this.#core('dmaUnmap').dmaUnmap(range.iova, range.size));
    this.#forget(range);
  }

  dmaUnmapAll(): void {
    const container = this.#container('dmaUnmap');
    if (container !== undefined) {
      container.dmaUnmapAll();
      return;
    }
    this.#core('dmaUnmap').dmaUnmapAll();
    this.#memory.remove(this.#memory.all());
  }

  /** VFIO_DEVICE_FEATURE: `EOPNOTSUPP` for what may have to wait, which is setting the state of a migration; {@link DeviceSession.feature} waits. */
  feature(request: FeatureRequest): Uint8Array {
    const { index, probe = false, set = false } = request;
    if (index === DeviceFeature.migrationDeviceState && set && !probe) {
      throw new VfioError(ENOTSUP, 'deviceFeature: setting the state may have to wait; use DeviceSession', FEATURE);
    }
    const answer = this.featureAnswer(request);
    return answer instanceof Uint8Array ? answer : refuse(FEATURE, ENOTSUP);
  }

  /** @internal {@link feature}, which may wait. */
  featureAnswer(request: FeatureRequest): Uint8Array | Promise<Uint8Array> {
    checkFeature(request);
    const { data = new Uint8Array(0), get = false, index, probe = false, replySize = 0, set = false } = request;
    const core = this.#core(FEATURE);
    const features = new Map<number, Feature>([
      ...dmaLoggingFeatures(core),
      ...(this.#migration === undefined ? [] : migrationFeatures(this.#migration)),
    ]);
    const room = Math.max(data.length, replySize);
    const reply = (result: FeatureAnswer): Uint8Array =>
      typeof result === 'number' ? refuse(FEATURE, result) : result;
    return failing(FEATURE, () => {
      const answer = answerFeature(features, { index, get, set, probe, data, room });
      if (!(answer instanceof Promise)) return reply(answer);
      return answer.then(reply).catch((error: unknown) => {
        throw VfioError.from(error, FEATURE);
      });
    });
  }

  /** As {@link DeviceSession.readMigrationData}. */
  readMigrationData(size: number): Uint8Array {
    checkInteger('migrationDataRead', 'the size', size);
    const migration = this.#migrating('migrationDataRead');
    return failing('migrationDataRead', () => migration.read(size));
  }

  /** As {@link DeviceSession.writeMigrationData}. */
  writeMigrationData(data: Uint8Array): void {
    const migration = this.#migrating('migrationDataWrite');
    failing('migrationDataWrite', () => {
      migration.write(data);
    });
  }

  /** VFIO_IOMMU_GET_INFO: what may be mapped at present. */
  dmaInfo(): DmaInfo {
    const container = this.#container('dmaInfo');
    if (container !== undefined) return container.info();
    return this.#core('dmaInfo').dmaInfo();
  }

  /**
   * What the guest programmed for an MSI-X vector, for a VMM whose instance owns the table; `EINVAL` when there is no such vector.
   */
  msixMessage(vector: number): MsixMessage {
    this.#checkHeld();
    return failing(undefined, () =>
      this.#function.irqs.message(vector, (region) => this.#function.registers.get(region).registers),
    );
  }

  /** As {@link msixMessage}, of MSI: `EINVAL` when there is no such message. Messages beyond what the guest gave share those. */
  msiMessage(vector: number): MsixMessage {
    const core = this.#core('regionRead');
    const { msi } = this.#function.irqs;
    if (msi === undefined || !Number.isInteger(vector) || vector < 0 || vector >= msi.vectors) {
      throw VfioError.from(new MdevError('EINVAL', `MSI vector ${vector}; the device has ${msi?.vectors ?? 0}`));
    }
    const bytes = new Uint8Array(msiMessageSize(msi));
    check('regionRead', core.read(VfioRegion.config, msi.offset, bytes));
    return msiMessage(msi, vector, bytes);
  }

  /** What a vector that fires means, where the instance owns the table. @internal */
  firedMessage(index: number, vector: number): MsixMessage | undefined {
    if (!this.#attachment.active || !this.#function.irqs.areOwned) return undefined;
    if (index === VfioIrq.msix) return this.msixMessage(vector);
    return index === VfioIrq.msi ? this.msiMessage(vector) : undefined;
  }

  reset(): void {
    this.#checkHeld('deviceReset');
    failing('deviceReset', this.#reset);
  }

  /** Lets go of the instance, which keeps its state. Idempotent. */
  close(): void {
    this.#attachment.detach();
  }

  #migrating(request: string): MigrationMachine {
    this.#checkHeld(request);
    return this.#migration ?? refuse(request, EINVAL);
  }

  /** An unmap that reports concerns all devices of a container, and this device knows its own pages only. */
  #logged(request: string): DeviceCore {
    const core = this.#core(request);
    if (request !== 'dmaUnmap' || this.#attachment.container === undefined) return core;
    const { name } = this.#attachment.container;
    throw new VfioError(ENOTSUP, `dmaUnmap: container ${name} does not report dirty pages at an unmap`, request);
  }

  #core(request: string): DeviceCore {
    this.#checkHeld(request);
    return this.#function.core;
  }

  #forget({ iova, size }: DmaRange): void {
    this.#memory.remove(this.#memory.inside(iova, size));
  }

  /** From now on the device's requests about memory without a file come here, as long as this holds the instance. */
  #answerMessages(core: DeviceCore): void {
    if (this.#answersMessages) return;
    core.setMessageMemory({
      transfer: (write, address, data) => {
        if (write) return this.#memory.write(address, data) ? 0 : EFAULT;
        const read = this.#memory.read(address, data.length);
        if (read === undefined) return EFAULT;
        data.set(read);
        return 0;
      },
    });
    this.#answersMessages = true;
  }

  #container(request: string): Container | undefined {
    this.#checkHeld(request);
    return this.#attachment.container;
  }

  #checkHeld(request?: string): void {
    if (this.#attachment.active) return;
    throw new VfioError('ENODEV', `${this.#attachment.holder.name} does not hold the instance any more`, request);
  }
}

function check(request: string, errno: number): void {
  if (errno !== 0) refuse(request, errno);
}

function refuse(request: string, errno: number): never {
  throw VfioError.refused(request, errno);
}

/** Runs what throws other errors. */
function failing<T>(request: string | undefined, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw VfioError.from(error, request);
  }
}

/** Duplicating a descriptor throws an Error with a `code` when it is none. */
function withFds(request: string, action: () => number): number {
  try {
    return action();
  } catch (error) {
    throw new VfioError(errnoOfError(error, EIO), `${request}: ${String(error)}`, request, { cause: error });
  }
}
