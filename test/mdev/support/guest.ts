import { type EventFd, eventfd } from '../../../src/native/binding.ts';
import type { DeviceSession, MdevDevice } from '../../../src/mdev/index.ts';

/** VFIO region index of config space. */
export const CONFIG = 7;
/** VFIO irq index of MSI-X. */
export const MSIX = 2;
/** VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER. */
export const SET_EVENTFDS = 0x24;

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
    const bytes = new Uint8Array(length);
    const errno = this.session.read(region, offset, bytes);
    if (errno !== 0) throw new Error(`read of region ${region} at ${offset}: errno ${errno}`);
    return bytes;
  }

  write(region: number, offset: number, bytes: Uint8Array): void {
    const errno = this.session.write(region, offset, bytes);
    if (errno !== 0) throw new Error(`write of region ${region} at ${offset}: errno ${errno}`);
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
    const errno = this.session.setIrqs({
      flags: SET_EVENTFDS,
      index: MSIX,
      start: 0,
      count,
      fds: fds.map((fd) => fd.fd),
    });
    if (errno !== 0) throw new Error(`SET_IRQS: errno ${errno}`);
    return fds;
  }

  [Symbol.dispose](): void {
    this.session.close();
    for (const fd of this.#eventfds) fd.close();
  }
}
