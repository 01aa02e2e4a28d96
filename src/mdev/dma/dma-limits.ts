import type { DeviceCore } from '../../native/binding.ts';
import { MdevError } from '../errors/mdev-error.ts';

/** How much guest memory a client may map, and where. */
export interface DmaLimits {
  /** DMA maps at a time, 1 to 2^53 - 1. */
  readonly maxMappings: number;
  /** Page sizes in bytes, or'ed; maps are multiples of the smallest, which is 4,096 or more. */
  readonly pageSizes: bigint;
  /** Addresses that may be mapped, ascending and apart from each other; `first` and `last` are both included. */
  readonly windows: readonly { readonly first: bigint; readonly last: bigint }[];
  /** Memory that a log of dirty pages may take, bytes: one bit for each page that is tracked, and the index. */
  readonly maxDirtyLogBytes: number;
}

/** As the kernel's type1 container: 65,535 maps anywhere, in pages of 4 KiB. A log covers almost 2 TiB of them. */
export const defaultDmaLimits: DmaLimits = Object.freeze({
  maxMappings: 65_535,
  pageSizes: 4096n,
  windows: [{ first: 0n, last: 0xffff_ffff_ffff_ffffn }],
  maxDirtyLogBytes: 64 * 1024 * 1024,
});

/**
 * Sets the limits of an instance.
 * @throws {@link MdevError} `EINVAL` when they are malformed.
 */
export function applyDmaLimits(core: DeviceCore, limits: DmaLimits): void {
  // A client that may map nothing has no way to say so: VERSION knows no 0.
  for (const [name, least] of Object.entries({ maxMappings: 1, maxDirtyLogBytes: 0 } as const)) {
    const value = limits[name as 'maxMappings' | 'maxDirtyLogBytes'];
    if (!Number.isSafeInteger(value) || value < least) {
      throw new MdevError('EINVAL', `dma.${name} is ${value}; expected an integer from ${least} to 2^53 - 1`);
    }
  }
  const words = [limits.pageSizes, ...limits.windows.flatMap(({ first, last }) => [first, last])];
  const inRange = words.every((word) => word >= 0n && word < 1n << 64n);
  const windows = new BigUint64Array(limits.windows.flatMap(({ first, last }) => [first, last]));
  const { pageSizes } = limits;
  const errno = inRange
    ? core.setDmaLimits(BigInt(limits.maxMappings), pageSizes, windows, BigInt(limits.maxDirtyLogBytes))
    : -1;
  if (errno === 0) return;
  const shown = limits.windows.map(({ first, last }) => `0x${first.toString(16)}-0x${last.toString(16)}`).join(', ');
  throw new MdevError(
    'EINVAL',
    `dma.pageSizes is 0x${pageSizes.toString(16)} and dma.windows is [${shown}]; expected page sizes of 4096 bytes ` +
      'or more, and 64-bit windows that ascend without overlap',
  );
}
