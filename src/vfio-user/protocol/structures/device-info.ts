import { viewOf, words } from './bytes.ts';

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
