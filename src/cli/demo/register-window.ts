import {
  describe,
  type RegisterBlock,
  type RegisterDescription,
  type RegisterFile,
  RegisterRegion,
} from '../../emulation/index.ts';
import type { VfioDevice } from '../../mdev/index.ts';

/**
 * A region of a device behind a client, by register name: `load` reads a register into an image and `store` writes it from there; `registers` are
 * the image's registers.
 */
export class RegisterWindow<B extends RegisterBlock> {
  readonly registers: RegisterFile<B>;
  readonly #device: VfioDevice;
  readonly #index: number;
  readonly #image: RegisterRegion<B>;
  readonly #bytes: Uint8Array;
  readonly #places: ReadonlyMap<string, RegisterDescription>;

  /** @param index - VFIO region index */
  constructor(device: VfioDevice, index: number, block: B) {
    this.#device = device;
    this.#index = index;
    this.#image = new RegisterRegion(block);
    this.#bytes = new Uint8Array(this.#image.memory, 0, block.size);
    this.#places = new Map(describe(block).map((row) => [row.path, row]));
    this.registers = this.#image.registers;
  }

  /** Reads registers, one access each. */
  async load(...paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const { offset, size } = this.#place(path);
      this.#bytes.set(await this.#device.readRegion(this.#index, offset, size), offset);
    }
  }

  /** Writes registers, one access each. */
  async store(...paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const { offset, size } = this.#place(path);
      await this.#device.writeRegion(this.#index, offset, this.#bytes.slice(offset, offset + size));
    }
  }

  /** Reads the whole region. */
  async loadAll(): Promise<void> {
    this.#bytes.set(await this.#device.readRegion(this.#index, 0, this.#bytes.length));
  }

  /** The registers with the values that were read. */
  describe(): readonly RegisterDescription[] {
    return describe(this.#image.block, this.#image);
  }

  /** Bytes. */
  #place(path: string): { readonly offset: number; readonly size: number } {
    const place = this.#places.get(path);
    if (place === undefined) throw new RangeError(`there is no register ${path}`);
    return { offset: place.offset, size: place.width / 8 };
  }
}
