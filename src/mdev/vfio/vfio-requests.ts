import { VfioDmaFlag } from './vfio.ts';
import { VfioError } from './vfio-error.ts';

/** Guest memory, by the device's address. */
export interface DmaRange {
  /** The device's address of the first byte; a multiple of 4,096. */
  readonly iova: bigint;
  /** Bytes; a multiple of 4,096. */
  readonly size: bigint;
}

/** Guest memory for a device: VFIO_IOMMU_MAP_DMA. */
export interface DmaMapRequest {
  /** The device's address of the first byte; a multiple of 4,096. */
  readonly iova: bigint;
  /** Bytes; a multiple of 4,096. That of `memory` when absent. */
  readonly size?: bigint;
  /** What the device may do: "r", "w" or "rw" (when absent). */
  readonly access?: 'r' | 'w' | 'rw';
  /** The file behind it (a `MemoryFile`, say); its descriptor is duplicated. Without one the device reaches the memory by message. */
  readonly file?: { readonly fd: number };
  /** Where the range begins in the file, bytes; 0 when absent. */
  readonly offset?: bigint;
  /** What answers those messages, `size` bytes; without it the device finds nothing there. In this process it keeps the event loop alive. */
  readonly memory?: Uint8Array;
}

/** Interrupts of one index: VFIO_DEVICE_SET_IRQS. */
export interface SetIrqsRequest {
  /** VFIO irq index. */
  readonly index: number;
  /** "trigger" when absent. */
  readonly action?: 'mask' | 'unmask' | 'trigger';
  /** First vector; 0 when absent. */
  readonly start?: number;
  /** Vectors; the number of `eventfds` or `booleans` when absent, else 0. */
  readonly count?: number;
  /**
   * eventfds (duplicated), one a vector, -1 to take a vector's away: those that `trigger` signals, or that unmask when they are signalled. An empty
   * list takes those of `count` vectors away.
   */
  readonly eventfds?: readonly number[];
  /** Which vectors to act on. Without these and without `eventfds`: on all `count` of them. */
  readonly booleans?: readonly boolean[];
}

/** What can be told about a region write. */
export interface WriteOptions {
  /** Nobody waits for an answer: a refusal is not told. A descriptor for a dedicated work queue has to be posted, as MOVDIR64B does it. */
  readonly posted?: boolean;
}

/** VFIO_DEVICE_FEATURE: what is to be done with which feature. */
export interface FeatureRequest {
  /** VFIO_DEVICE_FEATURE_*, 0 to 65,535. */
  readonly index: number;
  /** One of them; with `probe`, which of them have to be supported. */
  readonly get?: boolean;
  readonly set?: boolean;
  /** Nothing is done: it is only asked whether it could be. */
  readonly probe?: boolean;
  /** What the feature wants to be given; nothing when absent. */
  readonly data?: Uint8Array;
  /** Room for the answer's data, bytes; as much as `data` when absent. */
  readonly replySize?: number;
}

/** Checks the numbers of a feature request. @throws {@link VfioError} `EINVAL` */
export function checkFeature({ data, index, replySize }: FeatureRequest): void {
  checkInteger('deviceFeature', 'the index', index, 0xffff);
  checkInteger('deviceFeature', 'replySize', replySize ?? data?.length ?? 0);
}

const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = (1n << 64n) - 1n;

/** @throws {@link VfioError} `EINVAL` unless `value` is an integer from 0 to `most`. */
export function checkInteger(request: string, name: string, value: number, most = UINT32_MAX): void {
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw VfioError.badArgument(request, `${name} is ${value}; expected an integer from 0 to ${most}`);
}

/** @throws {@link VfioError} `EINVAL` unless `value` fits 64 bits. */
export function checkAddress(request: string, name: string, value: bigint): void {
  if (value >= 0n && value <= UINT64_MAX) return;
  throw VfioError.badArgument(request, `${name} is ${value}; expected 0 to 2^64 - 1`);
}

/** Checks where a region is accessed. @throws {@link VfioError} `EINVAL` */
export function checkAccess(request: string, region: number, offset: number, count: number): void {
  checkInteger(request, 'the region', region);
  checkInteger(request, 'the offset', offset, Number.MAX_SAFE_INTEGER);
  checkInteger(request, 'the count', count);
}

/** Checks the numbers of a range. @throws {@link VfioError} `EINVAL` */
export function checkRange(request: string, { iova, size }: DmaRange): void {
  checkAddress(request, 'iova', iova);
  checkAddress(request, 'size', size);
}

/** A map with everything said. */
export interface CompleteDmaMap extends DmaRange {
  /** {@link VfioDmaFlag} bits. */
  readonly rights: number;
  readonly file: { readonly fd: number } | undefined;
  readonly offset: bigint;
  readonly memory: Uint8Array | undefined;
}

const RIGHTS = { r: VfioDmaFlag.read, w: VfioDmaFlag.write, rw: VfioDmaFlag.read | VfioDmaFlag.write } as const;

/** Fills in what a map leaves out. @throws {@link VfioError} `EINVAL` when its parts contradict each other */
export function completeDmaMap(request: DmaMapRequest): CompleteDmaMap {
  const { access = 'rw', file, iova, memory, offset = 0n } = request;
  const size = request.size ?? BigInt(memory?.length ?? 0);
  const name = 'dmaMap';
  checkRange(name, { iova, size });
  checkAddress(name, 'offset', offset);
  const rights = Object.hasOwn(RIGHTS, access) ? RIGHTS[access] : undefined;
  if (rights === undefined) throw VfioError.badArgument(name, `access is ${access}; expected r, w or rw`);
  if (file === undefined && memory !== undefined && BigInt(memory.length) !== size) {
    throw VfioError.badArgument(name, `size is ${size}, and memory has ${memory.length} bytes`);
  }
  return { iova, size, rights, file, offset, memory };
}

/** A request with everything said. */
export interface CompleteSetIrqs {
  readonly index: number;
  readonly action: 'mask' | 'unmask' | 'trigger';
  readonly start: number;
  readonly count: number;
  readonly data: 'none' | 'bool' | 'eventfd';
  readonly eventfds: readonly number[];
  readonly booleans: Uint8Array;
}

/** Fills in what a request leaves out. @throws {@link VfioError} `EINVAL` when it says both, or numbers that no message carries. */
export function completeSetIrqs(request: SetIrqsRequest): CompleteSetIrqs {
  const { index, action = 'trigger', start = 0, eventfds, booleans } = request;
  const name = 'deviceSetIrqs';
  if (eventfds !== undefined && booleans !== undefined) {
    throw VfioError.badArgument(name, 'both eventfds and booleans; expected one of them');
  }
  const given = eventfds?.length === 0 ? undefined : (eventfds ?? booleans)?.length;
  const count = request.count ?? given ?? 0;
  if (given !== undefined && given !== count) {
    throw VfioError.badArgument(
      name,
      `count is ${count}, and there are ${given} ${eventfds ? 'eventfds' : 'booleans'}`,
    );
  }
  checkInteger(name, 'the index', index);
  checkInteger(name, 'start', start);
  checkInteger(name, 'count', count);
  for (const fd of eventfds ?? []) {
    if (!Number.isInteger(fd) || fd < -1) throw VfioError.badArgument(name, `an eventfd is ${fd}; expected -1 or more`);
  }
  return {
    index,
    action,
    start,
    count,
    data: eventfds !== undefined ? 'eventfd' : booleans !== undefined ? 'bool' : 'none',
    eventfds: eventfds ?? [],
    booleans: Uint8Array.from(booleans ?? [], Number),
  };
}
