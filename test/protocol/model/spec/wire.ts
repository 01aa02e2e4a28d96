/** vfio-user on the wire, read from its specification for this model alone: nothing here comes from what is tested. */

/** Bytes in front of every message. */
export const HEADER = 16;
/** The most data in a message, and the longest message. */
export const MAX_TRANSFER = 1 << 20;
export const MAX_MESSAGE = MAX_TRANSFER + 2 * HEADER;

export const Command = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceInfo: 4,
  regionInfo: 5,
  regionIoFds: 6,
  irqInfo: 7,
  setIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  dmaRead: 11,
  dmaWrite: 12,
  deviceReset: 13,
  regionWriteMulti: 15,
  deviceFeature: 16,
  migrationRead: 17,
  migrationWrite: 18,
} as const;

export const Flag = { typeMask: 0xf, reply: 1, noReply: 0x10, error: 0x20 } as const;

export const Errno = {
  ENOENT: 2,
  EIO: 5,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOTTY: 25,
  ENOSPC: 28,
} as const;

export interface Header {
  readonly id: number;
  readonly command: number;
  /** Bytes, these 16 among them. */
  readonly size: number;
  readonly flags: number;
  readonly errno: number;
}

export function readHeader(bytes: Uint8Array): Header {
  const at = view(bytes);
  return {
    id: at.getUint16(0, true),
    command: at.getUint16(2, true),
    size: at.getUint32(4, true),
    flags: at.getUint32(8, true),
    errno: at.getUint32(12, true),
  };
}

/** A message; `size` is what it has unless the header says otherwise. */
export function message(header: Omit<Header, 'size'> & { readonly size?: number }, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length);
  const at = view(bytes);
  at.setUint16(0, header.id, true);
  at.setUint16(2, header.command, true);
  at.setUint32(4, header.size ?? bytes.length, true);
  at.setUint32(8, header.flags, true);
  at.setUint32(12, header.errno, true);
  bytes.set(body, HEADER);
  return bytes;
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, index) => {
    view(bytes).setUint32(4 * index, value, true);
  });
  return bytes;
}

export function longs(...values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  values.forEach((value, index) => {
    view(bytes).setBigUint64(8 * index, value, true);
  });
  return bytes;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Field n of 32 bits. */
export function word(bytes: Uint8Array, n: number): number {
  return view(bytes).getUint32(4 * n, true);
}

/** The field of 64 bits at byte `offset`. */
export function long(bytes: Uint8Array, offset: number): bigint {
  return view(bytes).getBigUint64(offset, true);
}
