import { closeFd } from '../../native/binding.ts';
import { HandoverError } from './handover-error.ts';

/** A part of an image: bytes, and file descriptors that they refer to or that stand for themselves. */
export interface ImagePart {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
}

const FRONT_SIZE = 8;
const PART_FRONT_SIZE = 16;
const PARTS_MAX = 1024;

/**
 * Everything that moves as one run of bytes and one list of file descriptors, little-endian: u32 format version, u32 number of parts, for each part
 * u64 bytes and u64 file descriptors; then the bytes.
 */
const IMAGE_FORMAT = 1;

/** Parts in one. The file descriptors stay their owners'. */
export function encodeImage(parts: readonly ImagePart[]): ImagePart {
  const front = new Uint8Array(FRONT_SIZE + parts.length * PART_FRONT_SIZE);
  const view = new DataView(front.buffer);
  view.setUint32(0, IMAGE_FORMAT, true);
  view.setUint32(4, parts.length, true);
  parts.forEach(({ bytes, fds }, index) => {
    view.setBigUint64(FRONT_SIZE + index * PART_FRONT_SIZE, BigInt(bytes.length), true);
    view.setBigUint64(FRONT_SIZE + index * PART_FRONT_SIZE + 8, BigInt(fds.length), true);
  });
  return { bytes: Buffer.concat([front, ...parts.map(({ bytes }) => bytes)]), fds: parts.flatMap(({ fds }) => fds) };
}

/** What has been received of an image, and owns its file descriptors until they are taken. */
export class ReceivedImage {
  readonly #parts: ImagePart[];
  readonly #left = new Set<number>();

  /** @throws HandoverError `EIO` when these are no parts; the descriptors are closed then. */
  constructor(image: ImagePart) {
    for (const fd of image.fds) this.#left.add(fd);
    try {
      this.#parts = decodeParts(image);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next three parts, which stay. @throws HandoverError `EIO` when there are fewer. */
  peekThree(): readonly [ImagePart, ImagePart, ImagePart] {
    const [one, two, three] = this.#parts;
    if (one === undefined || two === undefined || three === undefined) throw broken('a part is missing');
    return [one, two, three];
  }

  /** The next part, whose descriptors are the caller's from now on. @throws HandoverError `EIO` when there is none. */
  take(): ImagePart {
    const part = this.#parts.shift();
    if (part === undefined) throw broken('a part is missing');
    for (const fd of part.fds) this.#left.delete(fd);
    return part;
  }

  /** @throws HandoverError `EIO` when something is left. */
  finish(): void {
    if (this.#parts.length > 0 || this.#left.size > 0) throw broken(`${this.#parts.length} parts are left`);
  }

  /** Closes the descriptors that nobody has taken. */
  close(): void {
    for (const fd of this.#left) closeFd(fd);
    this.#left.clear();
  }
}

function decodeParts({ bytes, fds }: ImagePart): ImagePart[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FRONT_SIZE) throw broken(`it has ${bytes.length} bytes`);
  const [format, count] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (format !== IMAGE_FORMAT) throw broken(`its format is ${format}; expected ${IMAGE_FORMAT}`);
  if (count > PARTS_MAX || bytes.length < FRONT_SIZE + count * PART_FRONT_SIZE) throw broken(`it has ${count} parts`);
  const parts: ImagePart[] = [];
  let [byte, fd] = [FRONT_SIZE + count * PART_FRONT_SIZE, 0];
  for (let index = 0; index < count; index++) {
    const size = Number(view.getBigUint64(FRONT_SIZE + index * PART_FRONT_SIZE, true));
    const number = Number(view.getBigUint64(FRONT_SIZE + index * PART_FRONT_SIZE + 8, true));
    if (size > bytes.length - byte || number > fds.length - fd) throw broken(`part ${index} is not whole`);
    parts.push({ bytes: bytes.subarray(byte, byte + size), fds: fds.slice(fd, fd + number) });
    byte += size;
    fd += number;
  }
  if (byte !== bytes.length || fd !== fds.length) throw broken('something follows its last part');
  return parts;
}

function broken(problem: string): HandoverError {
  return new HandoverError('EIO', `the image: ${problem}`);
}
