import { DeclarationError } from '../../emulation/index.ts';

/**
 * A write that a VMM may turn into a signal of an eventfd (an ioeventfd of KVM), so that a guest that rings this bell does not leave it for the
 * VMM. The device sees it as a write like any other, a moment later.
 */
export interface IoEventFd {
  /** Where, in bytes from the start of the region; a multiple of `size`. */
  readonly offset: number;
  /** Bytes of the access. */
  readonly size: 1 | 2 | 4 | 8;
  /** Only writes of this value become signals. Absent: writes of any value do, and the device sees zeros. */
  readonly datamatch?: bigint;
}

/** @throws `DeclarationError` when one of them is no access inside a region of `size` bytes. */
export function checkIoEventFds(what: string, size: number, ioEventFds: readonly IoEventFd[]): void {
  for (const { offset, size: width, datamatch } of ioEventFds) {
    const where = `${what}: an ioeventfd at ${offset}`;
    if (![1, 2, 4, 8].includes(width)) throw new DeclarationError(`${where} of ${width} bytes; expected 1, 2, 4 or 8`);
    if (!Number.isSafeInteger(offset) || offset < 0 || offset % width !== 0 || offset + width > size) {
      throw new DeclarationError(`${where}; expected a multiple of ${width} inside ${size} bytes`);
    }
    if (datamatch !== undefined && (datamatch < 0n || datamatch >> BigInt(8 * width) !== 0n)) {
      throw new DeclarationError(`${where} for the value ${datamatch}; expected one of ${width} bytes`);
    }
  }
}
