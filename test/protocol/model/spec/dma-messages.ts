import { type Answer, DONE } from './answer.ts';
import type { Device } from './device.ts';
import { bitmapBytes, type Range } from './dirty-log.ts';
import { Errno, joined, long, MAX_TRANSFER, word } from './wire.ts';
import type { Handle } from './world.ts';

const { EINVAL } = Errno;
const RIGHTS = 3;
const DIRTY = 1;
const ALL = 2;
const LAST_ADDRESS = (1n << 64n) - 1n;

/** DMA_MAP. */
export function dmaMap(device: Device, body: Uint8Array, fds: readonly Handle[]): Answer {
  if (body.length < 32 || word(body, 0) < 32) return EINVAL;
  const flags = word(body, 1);
  if (flags === 0 || flags > RIGHTS) return EINVAL;
  const errno = device.memory.map(long(body, 16), long(body, 24), flags, long(body, 8), fds);
  return errno === 0 ? DONE : errno;
}

/** DMA_UNMAP, with VFIO's flags for everything and for a bitmap of dirty pages. */
export function dmaUnmap(device: Device, body: Uint8Array): Answer {
  if (body.length < 24) return EINVAL;
  const [argsz, flags] = [word(body, 0), word(body, 1)];
  if (argsz < 24 || argsz > MAX_TRANSFER + 8) return EINVAL;
  const [first, size] = [long(body, 8), long(body, 16)];
  const { memory } = device;
  if (flags === ALL) {
    if (first !== 0n || size !== 0n) return EINVAL;
    if (memory.maps.length > 0) unmap(device, 0n, LAST_ADDRESS);
    // What is in flight is over before the reply, what was asked for without a map too (decision 11).
    else device.dma.channel?.cancel(0n, LAST_ADDRESS);
    return { body: body.slice(0, 24) };
  }
  if (flags === DIRTY) return dmaUnmapDirty(device, body, { first, size });
  if (flags !== 0) return EINVAL;
  const errno = memory.checkUnmap(first, size);
  if (errno !== 0) return errno;
  unmap(device, first, first + size - 1n);
  return { body: body.slice(0, 24) };
}

/** The bitmap follows the request in the reply. */
function dmaUnmapDirty(device: Device, body: Uint8Array, range: Range): Answer {
  if (body.length < 40 || word(body, 0) < 40) return EINVAL;
  const [pageSize, bytes] = [long(body, 24), long(body, 32)];
  if (range.size === 0n || pageSize === 0n || bytes > BigInt(word(body, 0) - 40)) return EINVAL;
  if (bytes !== bitmapBytes(range.size, pageSize)) return EINVAL;
  const { memory } = device;
  const errno = memory.checkUnmap(range.first, range.size);
  if (errno !== 0) return errno;
  if (memory.dirty.check(range, pageSize) !== 0 || !memory.dirty.tracks(range)) return EINVAL;
  const last = range.first + range.size - 1n;
  memory.unmap(range.first, range.size);
  device.dma.channel?.cancel(range.first, last);
  const bitmap = memory.dirty.report(range, pageSize);
  memory.dirty.unmapped(range.first, last);
  return { body: joined(body.subarray(0, 40), bitmap) };
}

function unmap({ memory, dma }: Device, first: bigint, last: bigint): void {
  memory.unmap(first, last - first + 1n);
  dma.channel?.cancel(first, last);
  memory.dirty.unmapped(first, last);
}
