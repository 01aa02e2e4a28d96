/** Which pages the device has written: three features of DEVICE_FEATURE. */
import { constants } from 'node:os';

import type { DeviceCore } from '../../native/binding.ts';
import { joined, longs } from '../base/bytes.ts';
import { DeviceFeature, type Feature, FEATURE_DATA_MAX } from '../vfio/features.ts';
import {
  decodeDmaLoggingReport,
  decodeDmaLoggingStart,
  dirtyBitmapBytes,
  DMA_LOGGING_REPORT_SIZE,
} from './dma-logging-data.ts';

const { EINVAL } = constants.errno;
/** Ranges of one DMA_LOGGING_START: one more is enough to be refused. */
const RANGES_MAX = 256;

/** The features, by number. Every device has them, whether it can be migrated or not. */
export function dmaLoggingFeatures(core: DeviceCore): readonly (readonly [number, Feature])[] {
  return [
    [
      DeviceFeature.dmaLoggingStart,
      {
        set: (data) => {
          const request = decodeDmaLoggingStart(data);
          if (request === undefined) return EINVAL;
          const errno = core.startDirtyLog(
            request.pageSize,
            new BigUint64Array(request.ranges.slice(0, RANGES_MAX + 1).flatMap(({ iova, size }) => [iova, size])),
          );
          // The page size that was chosen.
          return errno === 0 ? joined(longs(core.dirtyPageSize()), data.subarray(8)) : errno;
        },
      },
    ],
    [
      DeviceFeature.dmaLoggingStop,
      {
        set: (data) => {
          core.stopDirtyLog();
          return data;
        },
      },
    ],
    [
      DeviceFeature.dmaLoggingReport,
      {
        get: (data, room) => {
          const request = decodeDmaLoggingReport(data);
          if (request === undefined || request.size === 0n || request.pageSize === 0n) return EINVAL;
          const size = dirtyBitmapBytes(request.size, request.pageSize);
          if (size > BigInt(Math.min(room, FEATURE_DATA_MAX) - DMA_LOGGING_REPORT_SIZE)) return EINVAL;
          const bitmap = new Uint8Array(Number(size));
          const errno = core.reportDirty(request.iova, request.size, request.pageSize, bitmap);
          return errno === 0 ? joined(data.subarray(0, DMA_LOGGING_REPORT_SIZE), bitmap) : errno;
        },
      },
    ],
  ];
}
