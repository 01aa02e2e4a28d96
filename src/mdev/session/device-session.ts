import { whileReadersAreOut } from '../../native/binding.ts';
import type { IrqLine } from '../vfio/irq-lines.ts';
import type { MappedRegion } from '../vfio/mapped-region.ts';
import { type IrqListener, VfioDevice } from '../vfio/vfio-device.ts';
import type { DmaMapRequest, DmaRange, FeatureRequest, SetIrqsRequest, WriteOptions } from '../vfio/vfio-requests.ts';
import { type DeviceInfo, type IrqInfo, type RegionInfo, VfioRegion } from '../vfio/vfio.ts';
import type { HeldInstance } from './session-instance.ts';
import type { SessionSva } from '../sva/session-sva.ts';
import { RequestOrder } from './request-order.ts';
import { SynchronousSession } from './synchronous-session.ts';

/**
 * An instance as a VMM in this process uses it, without a socket: over the same native core, by the same rules. Made by `MdevDevice.open`.
 *
 * {@link sync} has the same requests as plain calls. They do not wait for what was asked for here and is under way still. Moves between the states of a
 * migration take time; so does what waits for engines in the guest's memory (unmaps, a reset, writes to config space, a feature that is set, the end), if
 * that memory is slow to come. Nothing else does, and the thread is free meanwhile.
 */
export class DeviceSession extends VfioDevice implements Disposable {
  /** The same, done before each call returns. */
  readonly sync: SynchronousSession;
  readonly #order = new RequestOrder();

  /** @internal */
  constructor(instance: HeldInstance) {
    super();
    this.sync = new SynchronousSession(instance);
  }

  /** PASIDs, the address space behind each, and page requests: done before each call returns. No message over vfio-user carries any of it. */
  get sva(): SessionSva {
    return this.sync.sva;
  }

  override info(): Promise<DeviceInfo> {
    return this.#order.run(() => this.sync.info());
  }

  override regionInfo(index: number): Promise<RegionInfo> {
    return this.#order.run(() => this.sync.regionInfo(index));
  }

  override irqInfo(index: number): Promise<IrqInfo> {
    return this.#order.run(() => this.sync.irqInfo(index));
  }

  override readRegion(region: number, offset: number, count: number): Promise<Uint8Array> {
    return this.#order.run(() => this.sync.readRegion(region, offset, count));
  }

  override writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    // Bus master, the power state, a function-level reset.
    const waits = region === VfioRegion.config;
    const bytes = this.#kept(data, waits);
    const write = (): void => {
      this.sync.writeRegion(region, offset, bytes, options);
    };
    return waits ? this.#withoutReaders(false, write) : this.#order.run(write);
  }

  override mapRegion(index: number): Promise<MappedRegion> {
    return this.#order.run(() => this.sync.mapRegion(index));
  }

  override setIrqs(request: SetIrqsRequest): Promise<void> {
    return this.#order.run(() => {
      this.sync.setIrqs(request);
    });
  }

  /**
   * As in {@link VfioDevice}; the listener also gets the message, where the instance owns the MSI-X table.
   *
   * @throws `VfioError` `EINVAL`: there is no such vector; `EMFILE`, `ENFILE`: there can be no eventfd.
   */
  override onIrq(index: number, vector: number, listener: IrqListener): Promise<IrqLine> {
    return super.onIrq(index, vector, (count) => {
      listener(count, this.sync.firedMessage(index, vector));
    });
  }

  override dmaMap(request: DmaMapRequest): Promise<void> {
    return this.#order.run(() => {
      this.sync.dmaMap(request);
    });
  }

  override dmaUnmap(range: DmaRange): Promise<void> {
    return this.#withoutReaders(true, () => {
      this.sync.dmaUnmap(range);
    });
  }

  override dmaUnmapDirty(range: DmaRange, pageSize: bigint): Promise<Uint8Array> {
    return this.#withoutReaders(true, () => this.sync.dmaLogging.unmap(range, pageSize));
  }

  override dmaUnmapAll(): Promise<void> {
    return this.#withoutReaders(true, () => {
      this.sync.dmaUnmapAll();
    });
  }

  /**
   * VFIO_DMA_UNMAP_FLAG_VADDR: takes the memory behind whole maps away and keeps the maps, for a VMM that is about to bring the same memory as another file.
   * What the device still does there ends first, what it does meanwhile faults: quiesce it before. No message over vfio-user carries this.
   *
   * @throws `VfioError` `EINVAL`: the range cuts a map, or one has no file, or none any more; `ENOENT`: nothing is mapped there.
   */
  invalidateVaddr(range: DmaRange): Promise<void> {
    return this.#withoutReaders(true, () => {
      this.sync.invalidateVaddr(range);
    });
  }

  /**
   * VFIO_DMA_MAP_FLAG_VADDR: puts memory behind one map that {@link invalidateVaddr} has left, which keeps its access; `access` is not looked at.
   *
   * @throws `VfioError` `ENOENT`: nothing is mapped at `iova`; `EINVAL`: the map there is another one, or has its memory, or there is no `file`; `EACCES`: it
   * may be written and the file may not; otherwise as {@link dmaMap}. The map stays as it is.
   */
  restoreVaddr(request: DmaMapRequest): Promise<void> {
    return this.#order.run(() => {
      this.sync.restoreVaddr(request);
    });
  }

  override feature(request: FeatureRequest): Promise<Uint8Array> {
    // The log of dirty pages.
    const waits = request.set === true;
    const kept = request.data === undefined ? request : { ...request, data: this.#kept(request.data, waits) };
    const answer = (): Uint8Array | Promise<Uint8Array> => this.sync.featureAnswer(kept);
    return waits ? this.#withoutReaders(false, answer) : this.#order.run(answer);
  }

  override readMigrationData(size: number): Promise<Uint8Array> {
    return this.#order.run(() => this.sync.readMigrationData(size));
  }

  override writeMigrationData(data: Uint8Array): Promise<void> {
    const bytes = this.#kept(data);
    return this.#order.run(() => {
      this.sync.writeMigrationData(bytes);
    });
  }

  override reset(): Promise<void> {
    return this.#withoutReaders(false, () => {
      this.sync.reset();
    });
  }

  override close(): Promise<void> {
    // It does not wait for requests: what is under way ends with it.
    const cores = this.sync.cores(false);
    this.sync.retire();
    return Promise.resolve(
      whileReadersAreOut(cores, () => {
        this.sync.close();
      }),
    );
  }

  [Symbol.dispose](): void {
    this.sync.close();
  }

  /** In its turn, when no engine is in the guest memory of the device, or of all that share its address space. */
  #withoutReaders<T>(shared: boolean, action: () => T | Promise<T>): Promise<T> {
    return this.#order.run(() => whileReadersAreOut<T | Promise<T>>(this.sync.cores(shared), action));
  }

  /** The bytes as they are now, for a request that may have to wait. */
  #kept(data: Uint8Array, waits = false): Uint8Array {
    // Not `slice`: that of a Buffer copies nothing.
    return waits || this.#order.busy ? Uint8Array.from(data) : data;
  }
}
