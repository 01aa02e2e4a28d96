import { viewOf, words } from './bytes.ts';

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
