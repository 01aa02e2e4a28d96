import { type Answer, DONE } from './answer.ts';
import type { Device } from './device.ts';
import { Errno, long, MAX_TRANSFER, word } from './wire.ts';
import type { Handle } from './world.ts';

const { EINVAL } = Errno;
const RIGHTS = 3;
const ALL = 2;

/** DMA_MAP. */
export function dmaMap(device: Device, body: Uint8Array, fds: readonly Handle[]): Answer {
  if (body.length < 32 || word(body, 0) < 32) return EINVAL;
  const flags = word(body, 1);
  if (flags === 0 || flags > RIGHTS) return EINVAL;
  const errno = device.memory.map(long(body, 16), long(body, 24), flags, long(body, 8), fds);
  return errno === 0 ? DONE : errno;
}

/** DMA_UNMAP, with VFIO's flag for everything. */
export function dmaUnmap(device: Device, body: Uint8Array): Answer {
  if (body.length < 24) return EINVAL;
  const [argsz, flags] = [word(body, 0), word(body, 1)];
  if (argsz < 24 || argsz > MAX_TRANSFER + 8) return EINVAL;
  const [first, size] = [long(body, 8), long(body, 16)];
  if (flags === ALL) {
    if (first !== 0n || size !== 0n) return EINVAL;
    if (device.memory.maps.length > 0) {
      device.memory.clear();
      device.dma.cancelAll();
    }
    return { body: body.slice(0, 24) };
  }
  if (flags !== 0) return EINVAL;
  const errno = device.memory.checkUnmap(first, size);
  if (errno !== 0) return errno;
  device.memory.unmap(first, size);
  device.dma.channel?.cancel(first, first + size - 1n);
  return { body: body.slice(0, 24) };
}
