import { joined, words } from './bytes.ts';

/** DEVICE_SET_IRQS: 20 bytes, with booleans behind them. */
export interface SetIrqs {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
}
const SET_IRQS_SIZE = 20;

export function encodeSetIrqs(request: SetIrqs, booleans: Uint8Array = new Uint8Array(0)): Uint8Array {
  const argsz = SET_IRQS_SIZE + booleans.length;
  return joined(words(argsz, request.flags, request.index, request.start, request.count), booleans);
}
