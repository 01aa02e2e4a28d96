import type { DmaInfo } from '../../native/binding.ts';

/** What may be mapped where all of these are asked. */
export function intersectDmaInfo(first: DmaInfo, ...others: readonly DmaInfo[]): DmaInfo {
  return others.reduce(
    (a, b) => ({
      pageSizes: commonPageSizes(a.pageSizes, b.pageSizes),
      windows: commonWindows(a.windows, b.windows),
      mappingsAvailable: least(a.mappingsAvailable, b.mappingsAvailable),
      maxDirtyLogBytes: least(a.maxDirtyLogBytes, b.maxDirtyLogBytes),
    }),
    first,
  );
}

/** Maps are multiples of the larger one of the smallest sizes, which therefore is the smallest that they have in common. */
function commonPageSizes(a: bigint, b: bigint): bigint {
  const [smallestA, smallestB] = [a & -a, b & -b];
  const granule = smallestA > smallestB ? smallestA : smallestB;
  return granule | (a & b & -granule);
}

function commonWindows(a: DmaInfo['windows'], b: DmaInfo['windows']): DmaInfo['windows'] {
  return a.flatMap((x) =>
    b.flatMap((y) => {
      const first = x.first > y.first ? x.first : y.first;
      const last = least(x.last, y.last);
      return first <= last ? [{ first, last }] : [];
    }),
  );
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
