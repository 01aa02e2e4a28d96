import { type MemoryFile, memoryFile } from '../../vfio-user/index.ts';
import { Mismatch } from './mismatch.ts';

/** Where the device finds the memory. Above 4 GiB, so that an address cut to 32 bits is seen. */
const BASE = 0x1_0000_0000n;
/** Any seed but 0 will do; a fixed one makes every run the same. */
const SEED = 0x2545_f491;

/**
 * The guest's memory: what the device works on (`actual`, a memory file) and what it should look like (`expected`). Comparing all of it finds what
 * was written to a wrong place, too.
 */
export class GuestMemory {
  readonly file: MemoryFile;
  readonly actual: Uint8Array;
  readonly expected: Uint8Array;

  /** @param size - bytes, a multiple of 4,096 */
  constructor(size: number) {
    this.file = memoryFile(size);
    this.actual = new Uint8Array(this.file.buffer);
    fillRandomly(this.actual);
    this.expected = this.actual.slice();
  }

  /** Address of the first byte. */
  get base(): bigint {
    return BASE;
  }

  /** The device's address of a byte. */
  address(offset: number): bigint {
    return BASE + BigInt(offset);
  }

  /** Writes what the guest itself writes. */
  write(offset: number, bytes: Uint8Array): void {
    this.actual.set(bytes, offset);
    this.expected.set(bytes, offset);
  }

  /** @throws Mismatch that names the first byte that is not as expected */
  check(what: string): void {
    if (Buffer.compare(this.actual, this.expected) === 0) return;
    const at = this.actual.findIndex((byte, index) => byte !== this.expected[index]);
    const place = `0x${this.address(at).toString(16)}`;
    throw new Mismatch(`${what}: the byte at ${place}`, hexByte(this.actual[at]), hexByte(this.expected[at]));
  }

  close(): void {
    this.file.close();
  }
}

function hexByte(byte: number | undefined): string {
  return `0x${(byte ?? 0).toString(16).padStart(2, '0')}`;
}

/** Xorshift, 32 bits. */
function fillRandomly(bytes: Uint8Array): void {
  let state = SEED;
  for (let index = 0; index < bytes.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
}
