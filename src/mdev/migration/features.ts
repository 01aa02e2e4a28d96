import { constants } from 'node:os';

import { DeviceFeature, type Feature } from '../vfio/features.ts';
import { type Migration, MigrationFlag, type Settle } from './migration.ts';

const { EINVAL } = constants.errno;
/** Bytes of VFIO_DEVICE_FEATURE_MIGRATION's data, and of MIG_DATA_SIZE's. */
const LONG_SIZE = 8;
/** VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: the state, and a file descriptor. */
const STATE_SIZE = 8;
/** There is none: data travels in messages and calls. */
const NO_FD = -1;

/**
 * The features of a device that can be migrated, by number (`<linux/vfio.h>`, VFIO_DEVICE_FEATURE).
 *
 * @param settle lets the device see what its guest did that has not reached it yet, before it stops.
 */
export function migrationFeatures(migration: Migration, settle?: Settle): readonly (readonly [number, Feature])[] {
  const features: (readonly [number, Feature])[] = [
    [DeviceFeature.migration, { get: (_data, room) => (room < LONG_SIZE ? EINVAL : long(migration.flags)) }],
    [
      DeviceFeature.migrationDeviceState,
      {
        get: (_data, room) => (room < STATE_SIZE ? EINVAL : encodeState(migration.state)),
        set: (data) => {
          if (data.length < STATE_SIZE) return EINVAL;
          const state = new DataView(data.buffer, data.byteOffset, data.length).getUint32(0, true);
          const moved = migration.setState(state, settle);
          return moved === undefined ? data : moved.then(() => data);
        },
      },
    ],
    [
      DeviceFeature.migrationDataSize,
      { get: (_data, room) => (room < LONG_SIZE ? EINVAL : long(migration.stopCopySize)) },
    ],
  ];
  if ((migration.flags & MigrationFlag.preCopy) !== 0) {
    // Opts in to flags of an ioctl that neither vfio-user nor this process has; nothing comes of it.
    features.push([DeviceFeature.migrationPrecopyInfo, { set: (data) => data }]);
  }
  return features;
}

function encodeState(state: number): Uint8Array {
  const data = new Uint8Array(STATE_SIZE);
  const view = new DataView(data.buffer);
  view.setUint32(0, state, true);
  view.setInt32(4, NO_FD, true);
  return data;
}

function long(value: number): Uint8Array {
  const data = new Uint8Array(LONG_SIZE);
  new DataView(data.buffer).setBigUint64(0, BigInt(value), true);
  return data;
}
