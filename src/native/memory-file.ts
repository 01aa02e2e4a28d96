import { addon } from './addon.ts';

/** Memory in a memfd, mapped shared: what a VMM gives to a device. */
export interface MemoryFile {
  /** The descriptor; -1 after `close`. */
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** The memory itself; it outlives `close`. */
  readonly buffer: ArrayBuffer;
  /** Closes the descriptor. */
  close(): void;
}

const native = addon as {
  readonly MemoryFile: new (size: number, seal: boolean) => MemoryFile;
  readonly mapSealedFile: (fd: number, offset: number, size: number, writable: boolean) => ArrayBuffer;
};

/**
 * Makes memory of `size` bytes (1 to 4 GiB, zeros).
 *
 * @param options `seal` (true by default) forbids to change the file's size. Without it, shrinking the file makes every
 * access to `buffer` behind the new end a fatal SIGBUS.
 * @throws RangeError for another size; Error with a `code`: `EMFILE`, `ENFILE`, `ENOMEM`.
 */
export function memoryFile(size: number, options: { readonly seal?: boolean } = {}): MemoryFile {
  return new native.MemoryFile(size, options.seal ?? true);
}

/**
 * Maps `size` bytes of a memfd, from `offset` on (whole pages). Stores reach the file, or stay in this buffer when not `writable`. The mapping ends
 * when the last view is collected, whatever happens to the descriptor.
 *
 * Throws an Error with a `code`: EPERM, a file that may shrink under the mapping, or of huge pages, or that is sealed against writing; EACCES; EINVAL;
 * ENOMEM.
 */
export const mapSealedFile = native.mapSealedFile;
