import { constants } from 'node:os';

const { EINVAL, ENOTTY } = constants.errno;

/** The data of an answer, or an errno. */
export type FeatureAnswer = Uint8Array | number;

/** Most data that a feature's answer has, bytes: what a message of vfio-user carries. */
export const FEATURE_DATA_MAX = 1024 * 1024;

/** VFIO_DEVICE_FEATURE_*: those that devices of this package can have. */
export const DeviceFeature = {
  migration: 1,
  migrationDeviceState: 2,
  dmaLoggingStart: 6,
  dmaLoggingStop: 7,
  dmaLoggingReport: 8,
  migrationDataSize: 9,
  migrationPrecopyInfo: 12,
} as const;

/** One feature of VFIO_DEVICE_FEATURE. A method that is missing is not supported. */
export interface Feature {
  /**
   * @param data what the request carries for the feature, of any length.
   * @param room bytes of data that the reply may have.
   * @returns the reply's data, at most `room` bytes; or an errno, with nothing changed.
   */
  get?(data: Uint8Array, room: number): FeatureAnswer | Promise<FeatureAnswer>;
  /** @returns the reply's data, as long as `data`; or an errno. */
  set?(data: Uint8Array): FeatureAnswer | Promise<FeatureAnswer>;
}

/** What is to be done with a feature. */
export interface FeatureQuestion {
  readonly index: number;
  readonly get: boolean;
  readonly set: boolean;
  readonly probe: boolean;
  readonly data: Uint8Array;
  /** Bytes of data that the reply may have. */
  readonly room: number;
}

/**
 * Does what is asked for by the kernel's rules for VFIO_DEVICE_FEATURE. ENOTTY: the device does not have the feature. EINVAL: no method, get and set at
 * once without probing, a method that the feature does not have, data or a reply that does not fit.
 *
 * @param features by number.
 */
export function answerFeature(
  features: ReadonlyMap<number, Feature>,
  { data, get, index, probe, room, set }: FeatureQuestion,
): FeatureAnswer | Promise<FeatureAnswer> {
  if (!probe && get === set) return EINVAL;
  const feature = features.get(index);
  if (feature === undefined) return ENOTTY;
  if (get && feature.get === undefined) return EINVAL;
  if (set && feature.set === undefined) return EINVAL;
  // These two are answered with what was asked.
  if ((probe || set) && room < data.length) return EINVAL;
  if (probe) return data;
  return (get ? feature.get?.(data, room) : feature.set?.(data)) ?? EINVAL;
}
