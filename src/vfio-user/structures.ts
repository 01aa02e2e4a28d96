/** The bodies of messages, each with its size, a decoder that checks the length first, and an encoder. */
import { HEADER_SIZE } from './protocol.ts';

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A message's header. */
export interface Header {
  readonly id: number;
  readonly command: number;
  /** Bytes of the message, header included. */
  readonly size: number;
  readonly flags: number;
  /** Of an error reply. */
  readonly errno: number;
}

/** Decodes the header at the start of a message; undefined when there are fewer than 16 bytes. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  const view = viewOf(bytes);
  return {
    id: view.getUint16(0, true),
    command: view.getUint16(2, true),
    size: view.getUint32(4, true),
    flags: view.getUint32(8, true),
    errno: view.getUint32(12, true),
  };
}

/** A message: its header, with the true size unless `header` says another one, and its body. */
export function encodeMessage(
  header: Pick<Header, 'id' | 'command'> & Partial<Header>,
  body: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + body.length);
  const view = viewOf(bytes);
  view.setUint16(0, header.id, true);
  view.setUint16(2, header.command, true);
  view.setUint32(4, header.size ?? bytes.length, true);
  view.setUint32(8, header.flags ?? 0, true);
  view.setUint32(12, header.errno ?? 0, true);
  bytes.set(body, HEADER_SIZE);
  return bytes;
}

/** DEVICE_GET_INFO, request and reply: 16 bytes. */
export interface DeviceInfo {
  readonly argsz: number;
  readonly flags: number;
  readonly regions: number;
  readonly irqs: number;
}
export const DEVICE_INFO_SIZE = 16;

/** Undefined when the body is too short. */
export function decodeDeviceInfo(body: Uint8Array): DeviceInfo | undefined {
  if (body.length < DEVICE_INFO_SIZE) return undefined;
  const view = viewOf(body);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    regions: view.getUint32(8, true),
    irqs: view.getUint32(12, true),
  };
}

export function encodeDeviceInfo(info: DeviceInfo): Uint8Array {
  return words(info.argsz, info.flags, info.regions, info.irqs);
}

/** DEVICE_GET_REGION_INFO, request and reply: 32 bytes, capabilities behind them. */
export interface RegionInfo {
  readonly argsz: number;
  readonly flags: number;
  readonly index: number;
  /** Where capabilities begin; 0: there are none. */
  readonly capabilityOffset: number;
  /** Bytes. */
  readonly size: number;
  /** For mmap. */
  readonly offset: number;
}
export const REGION_INFO_SIZE = 32;

/** Undefined when the body is too short. */
export function decodeRegionInfo(body: Uint8Array): RegionInfo | undefined {
  if (body.length < REGION_INFO_SIZE) return undefined;
  const view = viewOf(body);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    index: view.getUint32(8, true),
    capabilityOffset: view.getUint32(12, true),
    size: Number(view.getBigUint64(16, true)),
    offset: Number(view.getBigUint64(24, true)),
  };
}

export function encodeRegionInfo(info: RegionInfo): Uint8Array {
  const bytes = new Uint8Array(REGION_INFO_SIZE);
  bytes.set(words(info.argsz, info.flags, info.index, info.capabilityOffset));
  const view = viewOf(bytes);
  view.setBigUint64(16, BigInt(info.size), true);
  view.setBigUint64(24, BigInt(info.offset), true);
  return bytes;
}

/** DEVICE_GET_IRQ_INFO, request and reply: 16 bytes. */
export interface IrqInfo {
  readonly argsz: number;
  readonly flags: number;
  readonly index: number;
  /** Vectors. */
  readonly count: number;
}
export const IRQ_INFO_SIZE = 16;

/** Undefined when the body is too short. */
export function decodeIrqInfo(body: Uint8Array): IrqInfo | undefined {
  if (body.length < IRQ_INFO_SIZE) return undefined;
  const view = viewOf(body);
  return {
    argsz: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    index: view.getUint32(8, true),
    count: view.getUint32(12, true),
  };
}

export function encodeIrqInfo(info: IrqInfo): Uint8Array {
  return words(info.argsz, info.flags, info.index, info.count);
}

/** DEVICE_SET_IRQS: 20 bytes, with booleans behind them. */
export interface SetIrqs {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
}
export const SET_IRQS_SIZE = 20;

export function encodeSetIrqs(request: SetIrqs, booleans: Uint8Array = new Uint8Array(0)): Uint8Array {
  const argsz = SET_IRQS_SIZE + booleans.length;
  return joined(words(argsz, request.flags, request.index, request.start, request.count), booleans);
}

/** The front of REGION_READ, REGION_WRITE and their replies: 16 bytes, data behind them. */
export interface RegionAccess {
  readonly offset: bigint;
  readonly region: number;
  /** Bytes. */
  readonly count: number;
}
export const REGION_ACCESS_SIZE = 16;

/** Undefined when the body is too short. */
export function decodeRegionAccess(body: Uint8Array): RegionAccess | undefined {
  if (body.length < REGION_ACCESS_SIZE) return undefined;
  const view = viewOf(body);
  return { offset: view.getBigUint64(0, true), region: view.getUint32(8, true), count: view.getUint32(12, true) };
}

export function encodeRegionAccess(access: RegionAccess, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(REGION_ACCESS_SIZE + data.length);
  const view = viewOf(bytes);
  view.setBigUint64(0, access.offset, true);
  view.setUint32(8, access.region, true);
  view.setUint32(12, access.count, true);
  bytes.set(data, REGION_ACCESS_SIZE);
  return bytes;
}

/** The front of DMA_READ, DMA_WRITE and their replies: 16 bytes, data behind them. */
export interface DmaAccess {
  readonly address: bigint;
  /** Bytes. */
  readonly count: bigint;
}
export const DMA_ACCESS_SIZE = 16;

/** Undefined when the body is too short. */
export function decodeDmaAccess(body: Uint8Array): DmaAccess | undefined {
  if (body.length < DMA_ACCESS_SIZE) return undefined;
  const view = viewOf(body);
  return { address: view.getBigUint64(0, true), count: view.getBigUint64(8, true) };
}

export function encodeDmaAccess(access: DmaAccess, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  return joined(longs(access.address, access.count), data);
}

/** DMA_MAP: 32 bytes. */
export interface DmaMap {
  /** {@link DmaRight} bits. */
  readonly flags: number;
  /** Where the range begins in the file. */
  readonly offset: bigint;
  readonly address: bigint;
  /** Bytes. */
  readonly size: bigint;
}
export const DMA_MAP_SIZE = 32;

export function encodeDmaMap(map: DmaMap): Uint8Array {
  return joined(words(DMA_MAP_SIZE, map.flags), longs(map.offset, map.address, map.size));
}

/** DMA_UNMAP, request and reply: 24 bytes. */
export interface DmaUnmap {
  readonly flags: number;
  readonly address: bigint;
  /** Bytes. */
  readonly size: bigint;
}
export const DMA_UNMAP_SIZE = 24;

export function encodeDmaUnmap(unmap: DmaUnmap): Uint8Array {
  return joined(words(DMA_UNMAP_SIZE, unmap.flags), longs(unmap.address, unmap.size));
}

/** 32-bit numbers one behind the other. */
export function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  values.forEach((value, index) => {
    view.setUint32(index * 4, value, true);
  });
  return bytes;
}

/** 64-bit numbers one behind the other. */
export function longs(...values: bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = viewOf(bytes);
  values.forEach((value, index) => {
    view.setBigUint64(index * 8, value, true);
  });
  return bytes;
}

/** Pieces one behind the other. */
export function joined(...pieces: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}
