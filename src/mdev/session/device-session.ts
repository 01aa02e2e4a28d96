import type { MappedRegion } from '../mapped-region.ts';
import { type IrqLine, type IrqListener, VfioDevice } from '../vfio-device.ts';
import type { DmaMapRequest, DmaRange, FeatureRequest, SetIrqsRequest, WriteOptions } from '../vfio-requests.ts';
import type { DeviceInfo, IrqInfo, RegionInfo } from '../vfio.ts';
import type { HeldInstance } from './session-instance.ts';
import { SynchronousSession } from './synchronous-session.ts';

/**
 * An instance as a VMM in this process uses it, without a socket: over the same native core, by the same rules. Made by `MdevDevice.open`.
 *
 * {@link sync} has the same requests as plain calls.
 */
export class DeviceSession extends VfioDevice implements Disposable {
  /** The same, done before each call returns. */
  readonly sync: SynchronousSession;

  /** @internal */
  constructor(instance: HeldInstance) {
    super();
    this.sync = new SynchronousSession(instance);
  }

  override info(): Promise<DeviceInfo> {
    return promised(() => this.sync.info());
  }

  override regionInfo(index: number): Promise<RegionInfo> {
    return promised(() => this.sync.regionInfo(index));
  }

  override irqInfo(index: number): Promise<IrqInfo> {
    return promised(() => this.sync.irqInfo(index));
  }

  override readRegion(region: number, offset: number, count: number): Promise<Uint8Array> {
    return promised(() => this.sync.readRegion(region, offset, count));
  }

  override writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    return promised(() => {
      this.sync.writeRegion(region, offset, data, options);
    });
  }

  override mapRegion(index: number): Promise<MappedRegion> {
    return promised(() => this.sync.mapRegion(index));
  }

  override setIrqs(request: SetIrqsRequest): Promise<void> {
    return promised(() => {
      this.sync.setIrqs(request);
    });
  }

  /** As in {@link VfioDevice}; the listener also gets the message, where the instance owns the MSI-X table. */
  override onIrq(index: number, vector: number, listener: IrqListener): Promise<IrqLine> {
    return super.onIrq(index, vector, (count) => {
      listener(count, this.sync.firedMessage(index, vector));
    });
  }

  override dmaMap(request: DmaMapRequest): Promise<void> {
    return promised(() => {
      this.sync.dmaMap(request);
    });
  }

  override dmaUnmap(range: DmaRange): Promise<void> {
    return promised(() => {
      this.sync.dmaUnmap(range);
    });
  }

  override dmaUnmapDirty(range: DmaRange, pageSize: bigint): Promise<Uint8Array> {
    return promised(() => this.sync.dmaLogging.unmap(range, pageSize));
  }

  override dmaUnmapAll(): Promise<void> {
    return promised(() => {
      this.sync.dmaUnmapAll();
    });
  }

  override feature(request: FeatureRequest): Promise<Uint8Array> {
    return promised(() => this.sync.featureAnswer(request));
  }

  override readMigrationData(size: number): Promise<Uint8Array> {
    return promised(() => this.sync.readMigrationData(size));
  }

  override writeMigrationData(data: Uint8Array): Promise<void> {
    return promised(() => {
      this.sync.writeMigrationData(data);
    });
  }

  override reset(): Promise<void> {
    return promised(() => {
      this.sync.reset();
    });
  }

  override close(): Promise<void> {
    return promised(() => {
      this.sync.close();
    });
  }

  [Symbol.dispose](): void {
    this.sync.close();
  }
}

/** Done at once, told by a promise. */
function promised<T>(action: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve) => {
    resolve(action());
  });
}
