import { BASE, type Map, PAGE } from '../support/device.ts';

/** An access to guest memory that is not mapped, or lacks the right. */
export class Fault extends Error {
  readonly address: number;
  readonly write: boolean;

  constructor(address: number, write: boolean) {
    super(`fault at ${address}`);
    this.address = address;
    this.write = write;
  }
}

/** What was thrown, if it is a fault. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}

/** Guest memory, byte by byte. */
export class ReferenceMemory {
  readonly bytes: Uint8Array;
  readonly #readable: Uint8Array;
  readonly #writable: Uint8Array;

  constructor(bytes: Uint8Array, maps: readonly Map[]) {
    this.bytes = bytes;
    this.#readable = new Uint8Array(bytes.length / PAGE);
    this.#writable = new Uint8Array(bytes.length / PAGE);
    for (const { start, size, read, write } of maps) {
      this.#readable.fill(Number(read), start / PAGE, (start + size) / PAGE);
      this.#writable.fill(Number(write), start / PAGE, (start + size) / PAGE);
    }
  }

  read(address: number): number {
    const offset = address - BASE;
    if (this.#readable[Math.floor(offset / PAGE)] !== 1) throw new Fault(address, false);
    return this.bytes[offset] ?? 0;
  }

  /** Faults where nothing is mapped, whatever may be done there. */
  translate(address: number): void {
    const page = Math.floor((address - BASE) / PAGE);
    if (this.#readable[page] !== 1 && this.#writable[page] !== 1) throw new Fault(address, false);
  }

  /** Faults as a write would, without writing. */
  probe(address: number): void {
    if (this.#writable[Math.floor((address - BASE) / PAGE)] !== 1) throw new Fault(address, true);
  }

  write(address: number, value: number): void {
    this.probe(address);
    this.bytes[address - BASE] = value;
  }

  /** All bytes or none. */
  writeAll(address: number, values: Uint8Array): void {
    for (let i = 0; i < values.length; i++) this.probe(address + i);
    for (const [i, value] of values.entries()) this.write(address + i, value);
  }

  *range(address: number, size: number): Generator<number> {
    for (let i = 0; i < size; i++) yield this.read(address + i);
  }
}
