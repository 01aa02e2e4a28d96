import type { Answer } from './answer.ts';
import { State } from './migration.ts';
import type { Device } from './device.ts';
import { Errno, joined, MAX_TRANSFER, word, words } from './wire.ts';

const { EINVAL } = Errno;
const FRONT = 8;

/** MIG_DATA_READ. A client of the C implementation's dialect has as many bytes as it asked for. */
export function migrationRead(device: Device, body: Uint8Array, maxTransfer: number, padded: boolean): Answer {
  if (body.length < FRONT || !device.migration.saving) return EINVAL;
  const [argsz, size] = [word(body, 0), word(body, 1)];
  if (size > Math.min(maxTransfer, MAX_TRANSFER) || argsz < FRONT + size) return EINVAL;
  const { stream, from, length } = device.migration.read(size);
  const data = new Uint8Array(padded ? size : length);
  return { body: joined(words(FRONT + length, length), data), secret: { stream, from, length } };
}

/** MIG_DATA_WRITE. */
export function migrationWrite(device: Device, body: Uint8Array, maxTransfer: number): Answer {
  if (body.length < FRONT || device.migration.state !== State.resuming) return EINVAL;
  const [argsz, size] = [word(body, 0), word(body, 1)];
  const data = body.subarray(FRONT);
  if (size !== data.length || size > Math.min(maxTransfer, MAX_TRANSFER) || argsz < body.length) return EINVAL;
  const errno = device.migration.write(data);
  return errno === 0 ? { body: new Uint8Array(0) } : errno;
}
