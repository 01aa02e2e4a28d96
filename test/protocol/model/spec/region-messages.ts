import type { Answer } from './answer.ts';
import type { Device } from './device.ts';
import { Errno, joined, long, longs, MAX_TRANSFER, view, word } from './wire.ts';

const { EINVAL } = Errno;
const FRONT = 16;
const ENTRY = 24;
const READ = 1;
const WRITE = 2;

/** REGION_READ. What follows the request does not matter. */
export function regionRead(device: Device, body: Uint8Array): Answer {
  if (body.length < FRONT) return EINVAL;
  const [offset, region, count] = [long(body, 0), word(body, 2), word(body, 3)];
  if (count > MAX_TRANSFER) return EINVAL;
  const errno = device.check(region, offset, count, READ) || device.decodes(region);
  if (errno !== 0) return errno;
  return { body: joined(body.subarray(0, FRONT), device.read(region, Number(offset), count)) };
}

/** REGION_WRITE. The data is as long as the message says. */
export function regionWrite(device: Device, body: Uint8Array): Answer {
  if (body.length < FRONT) return EINVAL;
  const [offset, region, count] = [long(body, 0), word(body, 2), word(body, 3)];
  const data = body.subarray(FRONT);
  if (count > MAX_TRANSFER || data.length !== count) return EINVAL;
  const errno = device.check(region, offset, count, WRITE) || device.decodes(region);
  if (errno !== 0) return errno;
  device.write(region, Number(offset), data);
  return { body: body.slice(0, FRONT) };
}

/** REGION_WRITE_MULTI: all writes are checked first; one that fails then ends it, and the number of those before it is told. */
export function regionWriteMulti(device: Device, body: Uint8Array): Answer {
  if (body.length < 8) return EINVAL;
  const count = long(body, 0);
  if (count > BigInt(Math.floor((body.length - 8) / ENTRY))) return EINVAL;
  const writes = Array.from({ length: Number(count) }, (_, n) => body.subarray(8 + ENTRY * n, 8 + ENTRY * (n + 1)));
  const legal = (entry: Uint8Array): boolean =>
    word(entry, 3) <= 8 && device.check(word(entry, 2), long(entry, 0), word(entry, 3), WRITE) === 0;
  if (!writes.every(legal)) return EINVAL;
  let done = 0;
  for (const entry of writes) {
    const region = word(entry, 2);
    const errno = device.decodes(region);
    if (errno !== 0) return done === 0 ? errno : { body: longs(BigInt(done)) };
    const length = view(entry).getUint32(12, true);
    device.write(region, Number(long(entry, 0)), entry.slice(16, 16 + length));
    ++done;
  }
  return { body: longs(BigInt(done)) };
}
