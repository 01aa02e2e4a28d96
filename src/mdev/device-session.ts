import type { Attachment } from './attachment.ts';
import type { MsixMessage } from './irqs.ts';
import { MdevError } from './mdev-error.ts';
import type { MdevFunction } from './mdev-function.ts';

/** A SET_IRQS request, with the flags of <linux/vfio.h>. */
export interface SetIrqsRequest {
  /** VFIO_IRQ_SET_DATA_* and VFIO_IRQ_SET_ACTION_*. */
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** Booleans of a DATA_BOOL request. */
  readonly data?: Uint8Array;
  /** Eventfds, duplicated; -1 removes a vector's. */
  readonly fds?: readonly number[];
}

/** Guest memory for the device. */
export interface DmaMapRequest {
  readonly iova: bigint;
  /** Bytes. */
  readonly size: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  /** A memory file, duplicated. */
  readonly fd: number;
  readonly offset: bigint;
}

/**
 * An instance as a VMM in this process uses it: regions, interrupts and guest memory by VFIO's rules. What the device
 * refuses is an errno, as it would be for any other client; 0 is success. After `close`, and when the instance was
 * taken away, every call throws `ENODEV`.
 */
export class DeviceSession implements Disposable {
  readonly #attachment: Attachment;
  readonly #function: MdevFunction;
  readonly #reset: () => void;

  /** @internal */
  constructor(attachment: Attachment, mdevFunction: MdevFunction, reset: () => void) {
    this.#attachment = attachment;
    this.#function = mdevFunction;
    this.#reset = reset;
  }

  /** Reads a region; EINVAL out of range, EIO while memory decode is off. */
  read(region: number, offset: number, into: Uint8Array): number {
    return this.#core.read(region, offset, into);
  }

  /** Writes a region; EINVAL out of range, EIO while memory decode is off. */
  write(region: number, offset: number, from: Uint8Array): number {
    return this.#core.write(region, offset, from);
  }

  /** VFIO_DEVICE_SET_IRQS: EINVAL, ENOTTY. */
  setIrqs(request: SetIrqsRequest): number {
    const { flags, index, start, count, data = null, fds = [] } = request;
    return this.#core.setIrqs(flags, index, start, count, data, fds);
  }

  /** Gives the device guest memory: EINVAL, EEXIST, EACCES, ENOSPC. */
  dmaMap(request: DmaMapRequest): number {
    const rights = (request.readable ? 1 : 0) | (request.writable ? 2 : 0);
    return this.#core.dmaMap(request.iova, request.size, rights, request.fd, request.offset);
  }

  /** Takes guest memory away: EINVAL, ENOENT. */
  dmaUnmap(iova: bigint, size: bigint): number {
    return this.#core.dmaUnmap(iova, size);
  }

  /**
   * What the guest programmed for an MSI-X vector, for a VMM whose instance owns the table.
   * @throws {@link MdevError} `EINVAL` when there is no such vector.
   */
  msixMessage(vector: number): MsixMessage {
    this.#checkHeld();
    return this.#function.irqs.message(vector, (region) => this.#function.registers.get(region).registers);
  }

  /**
   * VFIO_DEVICE_RESET.
   * @throws {@link MdevError} `EIO` when the instance has failed.
   */
  reset(): void {
    this.#checkHeld();
    this.#reset();
  }

  /** Lets go of the instance. Idempotent. */
  close(): void {
    this.#attachment.detach();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #core(): MdevFunction['core'] {
    this.#checkHeld();
    return this.#function.core;
  }

  #checkHeld(): void {
    if (!this.#attachment.active) {
      throw new MdevError('ENODEV', `${this.#attachment.holder.name} does not hold the instance any more`);
    }
  }
}
