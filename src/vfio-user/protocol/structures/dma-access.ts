import { joined, longs, viewOf } from './bytes.ts';

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
