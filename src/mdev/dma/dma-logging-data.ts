import { joined, longs, viewOf, words } from '../base/bytes.ts';
import type { DmaRange } from '../vfio/vfio-requests.ts';

/** Data of DMA_LOGGING_START: which pages are to be watched. */
export interface DmaLoggingStart {
  /** Bytes, as a hint. */
  readonly pageSize: bigint;
  readonly ranges: readonly DmaRange[];
}

const START_SIZE = 16;
const RANGE_SIZE = 16;
/** Data of DMA_LOGGING_REPORT in front of the bitmap. */
export const DMA_LOGGING_REPORT_SIZE = 24;

/** Bytes of a bitmap of `size` bytes of memory: a bit for each page, in words of 64 bits. The page has 1 byte or more. */
export function dirtyBitmapBytes(size: bigint, pageSize: bigint): bigint {
  const pages = (size + pageSize - 1n) / pageSize;
  return ((pages + 63n) / 64n) * 8n;
}

export function encodeDmaLoggingStart({ pageSize, ranges }: DmaLoggingStart): Uint8Array {
  return joined(longs(pageSize), words(ranges.length, 0), ...ranges.map(({ iova, size }) => longs(iova, size)));
}

/** Undefined when the data is too short for its ranges. */
export function decodeDmaLoggingStart(data: Uint8Array): DmaLoggingStart | undefined {
  if (data.length < START_SIZE) return undefined;
  const view = viewOf(data);
  const count = view.getUint32(8, true);
  if (data.length < START_SIZE + count * RANGE_SIZE) return undefined;
  const ranges = Array.from({ length: count }, (_, index) => {
    const at = START_SIZE + index * RANGE_SIZE;
    return { iova: view.getBigUint64(at, true), size: view.getBigUint64(at + 8, true) };
  });
  return { pageSize: view.getBigUint64(0, true), ranges };
}

/** A question for DMA_LOGGING_REPORT. */
export interface DmaLoggingReport extends DmaRange {
  /** Bytes for each bit of the bitmap. */
  readonly pageSize: bigint;
}

export function encodeDmaLoggingReport({ iova, pageSize, size }: DmaLoggingReport): Uint8Array {
  return longs(iova, size, pageSize);
}

/** Undefined when the data is too short; a bitmap may follow it. */
export function decodeDmaLoggingReport(data: Uint8Array): DmaLoggingReport | undefined {
  if (data.length < DMA_LOGGING_REPORT_SIZE) return undefined;
  const view = viewOf(data);
  return {
    iova: view.getBigUint64(0, true),
    size: view.getBigUint64(8, true),
    pageSize: view.getBigUint64(16, true),
  };
}
