import { joined, viewOf, words } from './bytes.ts';

/** The front of DEVICE_FEATURE, request and reply: 8 bytes, the feature's data behind them. */
export interface DeviceFeatureRequest {
  readonly argsz: number;
  /** The feature's number in bits 15:0, {@link DeviceFeatureFlag} above. */
  readonly flags: number;
  readonly data: Uint8Array;
}
export const DEVICE_FEATURE_SIZE = 8;

/** Undefined when the body is too short. */
export function decodeDeviceFeature(body: Uint8Array): DeviceFeatureRequest | undefined {
  if (body.length < DEVICE_FEATURE_SIZE) return undefined;
  const view = viewOf(body);
  return { argsz: view.getUint32(0, true), flags: view.getUint32(4, true), data: body.subarray(DEVICE_FEATURE_SIZE) };
}

/** `argsz` is the size of all of it, unless given. */
export function encodeDeviceFeature(
  flags: number,
  data: Uint8Array = new Uint8Array(0),
  argsz: number = DEVICE_FEATURE_SIZE + data.length,
): Uint8Array {
  return joined(words(argsz, flags), data);
}

/** VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: the state, and a file descriptor that vfio-user does not use. */
const MIGRATION_STATE_SIZE = 8;

/** Undefined when the data is too short. */
export function decodeMigrationState(data: Uint8Array): number | undefined {
  return data.length < MIGRATION_STATE_SIZE ? undefined : viewOf(data).getUint32(0, true);
}

export function encodeMigrationState(state: number): Uint8Array {
  return words(state, 0xffff_ffff);
}
