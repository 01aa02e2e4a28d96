import { Command, DeviceState, type DsaRegisterBlock, QueueMode, QueueState } from '../../backends/idxd/index.ts';
import type { VfioDevice } from '../../mdev/index.ts';
import { DESCRIPTOR_SIZE } from './descriptor.ts';
import type { InterruptLine } from './interrupt-line.ts';
import { expectSame } from './mismatch.ts';
import { RegisterWindow } from './register-window.ts';

/** VFIO region indices. */
const REGISTERS = 0;
const PORTALS = 2;
/** The limited portal of queue 0 whose completions raise MSI-X; see the DSA specification, 5.3. */
const LIMITED_PORTAL = 0x1000;
const PAGE_SIZE = 4096;
/** Posted writes that make one descriptor in a VM: its 64-byte store arrives as these. */
const WRITES_PER_DESCRIPTOR = 8;
/** Of INTCAUSE: a command has finished. */
const COMMAND_FINISHED = 0x2;

/** A driver for one queue of one DSA, as small as it can be. */
export class DsaDriver {
  readonly window: RegisterWindow<DsaRegisterBlock>;
  readonly #device: VfioDevice;
  readonly #commands: InterruptLine;
  #portal = 0;

  /** @param commands - vector 0 */
  constructor(device: VfioDevice, block: DsaRegisterBlock, commands: InterruptLine) {
    this.window = new RegisterWindow(device, REGISTERS, block);
    this.#device = device;
    this.#commands = commands;
  }

  /** Enables the device and queue 0, which it gives all entries, a group and an engine if the device leaves that to its driver. */
  async enable(): Promise<void> {
    await this.window.load('GENCAP', 'WQCAP', 'GENSTS');
    const { registers } = this.window;
    expectSame('GENSTS.state before it is enabled', registers.GENSTS.state, DeviceState.disabled);
    if (registers.GENCAP.configurable) await this.#configure();
    await this.command('Enable Device', Command.enableDevice);
    await this.command('Enable Queue', Command.enableQueue, 0);
    await this.window.load('GENSTS', 'WQCFG[0].STATUS');
    expectSame('GENSTS.state', registers.GENSTS.state, DeviceState.enabled);
    expectSame('WQCFG[0].STATUS.state', registers.WQCFG[0]?.STATUS.state ?? -1, QueueState.enabled);
  }

  /** Drains and disables queue and device. */
  async disable(): Promise<void> {
    await this.command('Disable Device', Command.disableDevice);
    await this.window.load('GENSTS', 'SWERROR0');
    expectSame('GENSTS.state after it is disabled', this.window.registers.GENSTS.state, DeviceState.disabled);
    expectSame('SWERROR0', this.window.registers.SWERROR0.value, 0n);
  }

  /** Runs an administrative command and waits for its interrupt. */
  async command(name: string, code: number, operand = 0): Promise<void> {
    const { registers } = this.window;
    registers.CMD.code = code;
    registers.CMD.operand = operand;
    registers.CMD.requestInterrupt = true;
    const finished = this.#commands.take(name);
    await Promise.all([this.window.store('CMD'), finished]);
    await this.window.load('INTCAUSE', 'CMDSTATUS');
    expectSame(`INTCAUSE after ${name}`, registers.INTCAUSE.value, COMMAND_FINISHED);
    expectSame(`CMDSTATUS after ${name}`, registers.CMDSTATUS.value, 0);
    // Writing 1 clears.
    await this.window.store('INTCAUSE');
    await this.window.load('INTCAUSE');
    expectSame(`INTCAUSE after it was cleared`, registers.INTCAUSE.value, 0);
  }

  /** Writes a descriptor to the portal: eight posted writes, which nothing answers. */
  async submit(descriptor: Uint8Array): Promise<void> {
    const bytes = DESCRIPTOR_SIZE / WRITES_PER_DESCRIPTOR;
    const offset = LIMITED_PORTAL + this.#portal;
    // The page is one portal; drivers step through it so that descriptors do not queue up behind each other.
    this.#portal = (this.#portal + DESCRIPTOR_SIZE) % PAGE_SIZE;
    for (let at = 0; at < DESCRIPTOR_SIZE; at += bytes) {
      await this.#device.writeRegion(PORTALS, offset + at, descriptor.subarray(at, at + bytes), { posted: true });
    }
  }

  async #configure(): Promise<void> {
    const { registers } = this.window;
    const [group] = registers.GRPCFG;
    const [queue] = registers.WQCFG;
    if (group === undefined || queue === undefined) throw new Error('the device has no group or no queue');
    group.WQS0.queues = 1n;
    group.ENGINES.engines = 1n;
    queue.SIZE.size = registers.WQCAP.totalSize;
    queue.MODE.mode = QueueMode.dedicated;
    queue.MODE.priority = 8;
    queue.LIMITS.maxTransferShift = registers.GENCAP.maxTransferShift;
    queue.LIMITS.maxBatchShift = registers.GENCAP.maxBatchShift;
    await this.window.store('GRPCFG[0].WQS0', 'GRPCFG[0].ENGINES');
    await this.window.store('WQCFG[0].SIZE', 'WQCFG[0].MODE', 'WQCFG[0].LIMITS');
  }
}
