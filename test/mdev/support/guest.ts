import { coreOf } from '../../../src/native/device-handle.ts';
import { type EventFd, eventfd } from '../../../src/native/binding.ts';
import { type DeviceSession, type MdevDevice, VfioError } from '../../../src/mdev/index.ts';

/** VFIO region index of config space. */
export const CONFIG = 7;
/** VFIO irq index of MSI-X. */
export const MSIX = 2;
/** VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER. */
export const SET_EVENTFDS = 0x24;

/** SET_IRQS with the flags of <linux/vfio.h>. */
export interface RawSetIrqs {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** Booleans of a DATA_BOOL request. */
  readonly data?: Uint8Array;
  readonly fds?: readonly number[];
}

/** DMA_MAP by its parts. */
export interface RawDmaMap {
  readonly iova: bigint;
  readonly size: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly fd: number;
  readonly offset: bigint;
}

/** 0, or the errno that `action` ends with. */
export function errnoOf(action: () => void): number {
  try {
    action();
    return 0;
  } catch (error) {
    if (error instanceof VfioError) return error.errno;
    throw error;
  }
}

/** A guest on the in-process face: loads and stores of 1 to 8 bytes, and eventfds. Failures throw. */
export class Guest implements Disposable {
  readonly device: MdevDevice;
  readonly session: DeviceSession;
  readonly #eventfds: EventFd[] = [];

  constructor(device: MdevDevice, options: { readonly name?: string; readonly command?: number } = {}) {
    this.device = device;
    this.session = device.open({ name: options.name ?? 'test guest' });
    // Memory space and bus master, as drivers set them.
    if (options.command !== 0) this.write16(4, options.command ?? 6, CONFIG);
  }

  read(region: number, offset: number, length: number): Uint8Array {
    return this.session.sync.readRegion(region, offset, length);
  }

  write(region: number, offset: number, bytes: Uint8Array): void {
    this.session.sync.writeRegion(region, offset, bytes);
  }

  read16(offset: number, region = 0): number {
    return new DataView(this.read(region, offset, 2).buffer).getUint16(0, true);
  }

  read32(offset: number, region = 0): number {
    return new DataView(this.read(region, offset, 4).buffer).getUint32(0, true);
  }

  read64(offset: number, region = 0): bigint {
    return new DataView(this.read(region, offset, 8).buffer).getBigUint64(0, true);
  }

  write16(offset: number, value: number, region = 0): void {
    const bytes = new Uint8Array(2);
    new DataView(bytes.buffer).setUint16(0, value, true);
    this.write(region, offset, bytes);
  }

  write32(offset: number, value: number, region = 0): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
    this.write(region, offset, bytes);
  }

  write64(offset: number, value: bigint, region = 0): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.write(region, offset, bytes);
  }

  /** Gives the first `count` MSI-X vectors an eventfd each. */
  enableMsix(count: number): readonly EventFd[] {
    const fds = Array.from({ length: count }, () => eventfd());
    this.#eventfds.push(...fds);
    this.session.sync.setIrqs({ index: MSIX, eventfds: fds.map((fd) => fd.fd) });
    return fds;
  }

  /** Reads, and says with which errno that ended. */
  tryRead(region: number, offset: number, into: Uint8Array): number {
    return errnoOf(() => {
      into.set(this.session.sync.readRegion(region, offset, into.length));
    });
  }

  /** Writes, and says with which errno that ended. */
  tryWrite(region: number, offset: number, from: Uint8Array): number {
    return errnoOf(() => {
      this.session.sync.writeRegion(region, offset, from);
    });
  }

  /** SET_IRQS with any flags, legal or not. Gives the errno. */
  setIrqs(request: RawSetIrqs): number {
    const { count, data = null, fds = [], flags, index, start } = request;
    return coreOf(this.device.handle).setIrqs(flags, index, start, count, data, fds);
  }

  /** Maps memory, and says with which errno that ended. */
  dmaMap(request: RawDmaMap): number {
    const { fd, iova, offset, readable, size, writable } = request;
    return coreOf(this.device.handle).dmaMap(iova, size, (readable ? 1 : 0) | (writable ? 2 : 0), fd, offset);
  }

  /** Unmaps memory, and says with which errno that ended. */
  dmaUnmap(iova: bigint, size: bigint): number {
    return coreOf(this.device.handle).dmaUnmap(iova, size);
  }

  /** Lets go of the device. */
  close(): void {
    this.session.sync.close();
  }

  [Symbol.dispose](): void {
    this.close();
    for (const fd of this.#eventfds) fd.close();
  }
}
