import {
  type BarRegisters,
  type ConfigSpace,
  type HeaderRegisters,
  type MsixCapabilityRegisters,
  type RegisterBlock,
  type RegisterGroup,
} from '../../emulation/index.ts';
import { type VfioDevice, VfioIrq, VfioRegion } from '../../mdev/index.ts';
import { Mismatch, expectSame } from './mismatch.ts';
import { RegisterWindow } from './register-window.ts';

/** Registers that enumeration uses. */
type ConfigBlock = RegisterBlock<
  HeaderRegisters & BarRegisters & { readonly MSIX: RegisterGroup<MsixCapabilityRegisters> }
>;

/** Where BARs are put; each at a multiple of its size. */
const BAR_WINDOW = 0x10_0000_0000n;
/** The bits of a memory BAR's first register that are no address. */
const BAR_FLAGS = 0xfn;

/** A PCI function behind a vfio-user server, seen as firmware and kernel see one. */
export class PciFunction {
  readonly window: RegisterWindow<ConfigBlock>;
  readonly #device: VfioDevice;
  readonly #declared: ConfigSpace;

  /** @param declared - what the function should be; it has MSI-X */
  constructor(device: VfioDevice, declared: ConfigSpace) {
    this.#device = device;
    this.#declared = declared;
    this.window = new RegisterWindow(device, VfioRegion.config, declared.block as unknown as ConfigBlock);
  }

  /**
   * Reads config space.
   * @throws Mismatch when a bit that nobody can change is not as declared
   */
  async probe(): Promise<void> {
    const { size } = await this.#device.regionInfo(VfioRegion.config);
    expectSame('the size of config space', size, this.#declared.size);
    await this.window.loadAll();
    for (const { current, fields, path, width } of this.window.describe()) {
      if (current === undefined) throw new Mismatch(path, 'not read', `${width} bits`);
      for (const field of fields) {
        if (field.access !== 'ro' || field.current === undefined) continue;
        expectSame(`${path}.${field.name}`, field.current, field.reset);
      }
    }
  }

  /** Sizes the BARs, gives them addresses, and switches memory decode, bus master and MSI-X on. */
  async enable(): Promise<void> {
    const { registers } = this.window;
    let next = BAR_WINDOW;
    for (const [index, { size, width }] of Object.entries(this.#declared.bars)) {
      const low = `BAR${index}` as keyof BarRegisters;
      const high = width === 64 ? (`BAR${Number(index) + 1}` as keyof BarRegisters) : undefined;
      const found = -((await this.#writeBar(low, high, (1n << BigInt(width)) - 1n)) & ~BAR_FLAGS);
      expectSame(`the size of BAR ${index}`, BigInt.asUintN(width, found), BigInt(size));
      const info = await this.#device.regionInfo(Number(index));
      expectSame(`the size of region ${index}`, info.size, size);
      next += BigInt(size) - (next % BigInt(size));
      expectSame(`BAR ${index}`, (await this.#writeBar(low, high, next)) & ~BAR_FLAGS, next);
    }
    registers.COMMAND.memorySpace = true;
    registers.COMMAND.busMaster = true;
    registers.MSIX.CONTROL.enable = true;
    await this.window.store('COMMAND', 'MSIX.CONTROL');
  }

  /** Vectors that MSI-X has. */
  get vectors(): number {
    return this.window.registers.MSIX.CONTROL.tableSize + 1;
  }

  /** Lets the first vectors signal these eventfds. */
  async assignInterrupts(eventfds: readonly number[]): Promise<void> {
    const { count } = await this.#device.irqInfo(VfioIrq.msix);
    expectSame('the number of MSI-X vectors', count, this.vectors);
    await this.#device.setIrqs({ index: VfioIrq.msix, eventfds });
  }

  /** Writes a BAR and reads it back. */
  async #writeBar(low: keyof BarRegisters, high: keyof BarRegisters | undefined, value: bigint): Promise<bigint> {
    const { registers } = this.window;
    const names = high === undefined ? [low] : [low, high];
    registers[low].value = Number(BigInt.asUintN(32, value));
    if (high !== undefined) registers[high].value = Number(value >> 32n);
    await this.window.store(...names);
    await this.window.load(...names);
    const upper = high === undefined ? 0n : BigInt(registers[high].value);
    return (upper << 32n) | BigInt(registers[low].value);
  }
}
