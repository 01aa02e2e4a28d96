import type { InterruptMessage } from './interrupt-message.ts';
import type { MsiCapability } from './msi-capability.ts';

const ENABLE = 1;

/** Bytes of a capability up to its masks. */
export function msiMessageSize({ address64, pending }: MsiCapability): number {
  return (address64 ? 14 : 10) + (pending === undefined ? 0 : 6);
}

/**
 * What the guest programmed for a message (PCI Local Bus Specification 3.0, 6.8.1): the low bits of the data say which one it is. Without a mask of its
 * own a message is masked while MSI is not enabled, or with all the others.
 *
 * @param vector below the number of messages; the higher ones share those that the guest gave.
 * @param bytes {@link msiMessageSize} bytes of the capability, as the guest reads them.
 */
export function msiMessage({ address64, pending }: MsiCapability, vector: number, bytes: Uint8Array): InterruptMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const control = view.getUint16(2, true);
  const granted = 1 << Math.min((control >> 4) & 7, 5);
  const number = vector % granted;
  const behind = address64 ? 12 : 8;
  const mask = pending === undefined ? 0 : view.getUint32(behind + 4, true);
  return {
    address: (address64 ? BigInt(view.getUint32(8, true)) << 32n : 0n) | BigInt(view.getUint32(4, true)),
    data: (view.getUint16(behind, true) & ~(granted - 1)) | number,
    masked: (control & ENABLE) === 0 || ((mask >>> number) & 1) !== 0,
  };
}
