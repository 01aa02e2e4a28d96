import type { Random } from './random.ts';

export const PAGE = 4096;
/** The device's address of offset 0. */
export const BASE = 0x4000_0000;

/** A part of guest memory, by offset. */
export interface Part {
  readonly at: number;
  readonly size: number;
}

/** Working memory of one descriptor at a time, with room for the list of a batch in front. */
export interface Arena {
  readonly list: Part;
  readonly data: Part;
}

/** Bytes of a list: eight descriptors, and in a large arena 48. */
const LIST = 512;
const LARGE_LIST = 3072;
const RECORD = 32;
/** Much, so that reading takes its time. */
const CONSTANT = 4 << 20;

/**
 * Memory of a guest, most of it in a file that each server has its own copy of, the rest answered by message; what it should hold once everything that
 * was submitted has ended; and the pages that the guest itself wrote since they were copied.
 */
export class GuestMemory {
  /** Two areas that nobody writes. The second differs from the first in its last byte only. */
  readonly constants: readonly [Part, Part];
  readonly large: readonly Arena[];
  readonly small: readonly Arena[];
  readonly messages: readonly Arena[];
  /** Bytes of the file. */
  readonly size: number;
  /** What has no file. */
  readonly message: Uint8Array;
  readonly expected: Uint8Array;
  readonly dirty = new Set<number>();
  #file: Uint8Array = new Uint8Array(0);
  #record: number;
  readonly #recordEnd: number;

  constructor(random: Random, { records }: { readonly records: number }) {
    let end = 0;
    const part = (size: number): Part => {
      const at = end;
      end += size;
      return { at, size };
    };
    const arenas = (count: number, list: number, size: number): Arena[] =>
      Array.from({ length: count }, () => ({ list: part(list), data: part(size - list) }));
    this.constants = [part(CONSTANT), part(CONSTANT)];
    this.large = arenas(24, LARGE_LIST, 0x90000);
    this.small = arenas(1700, LIST, 0x2000);
    const recordPart = part(Math.ceil((records * RECORD) / PAGE) * PAGE);
    this.size = Math.ceil(end / PAGE) * PAGE;
    end = this.size;
    // Behind the file: so many that each queue comes to have as many descriptors waiting for the client as it may.
    this.messages = arenas(240, LIST, 0x1000);
    this.expected = new Uint8Array(end);
    this.message = new Uint8Array(end - this.size);
    this.#record = recordPart.at;
    this.#recordEnd = recordPart.at + recordPart.size;
    const words = new Uint32Array(this.expected.buffer, 0, recordPart.at / 4);
    for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + random.below(7), 0x9e3779b1);
    this.expected.copyWithin(CONSTANT, 0, CONSTANT);
    this.expected[2 * CONSTANT - 1] = (this.expected[CONSTANT - 1] ?? 0) ^ 1;
  }

  /** The copy of the server that runs the device. */
  get file(): Uint8Array {
    return this.#file;
  }

  /** The guest goes on with another copy, to which all pages that are not dirty have been brought. */
  use(file: Uint8Array): void {
    this.#file = file;
  }

  /** What is there now. */
  actual(at: number, size: number): Uint8Array {
    return at < this.size
      ? this.#file.subarray(at, at + size)
      : this.message.subarray(at - this.size).subarray(0, size);
  }

  /** The guest writes, and means it. */
  write(at: number, bytes: Uint8Array): void {
    this.expected.set(bytes, at);
    this.actual(at, bytes.length).set(bytes);
    if (at >= this.size) return;
    for (let page = Math.floor(at / PAGE); page * PAGE < at + bytes.length; page++) this.dirty.add(page);
  }

  /** A completion record that was never used. */
  newRecord(): number {
    const at = this.#record;
    if (at + RECORD > this.#recordEnd) throw new Error('there is no room for another completion record');
    this.#record += RECORD;
    return at;
  }
}
