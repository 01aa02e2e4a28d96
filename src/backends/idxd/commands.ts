import { Command, CommandError } from './command-codes.ts';
import { COMMAND_VECTOR, completionEffects } from './completion.ts';
import type { DsaDescription } from './description.ts';
import { checkEnableDevice, enginesOf, queuesOf } from './enable-device-checks.ts';
import { checkEnableQueue } from './enable-queue-checks.ts';
import { vectorCount } from './layout.ts';
import type { GroupBacking, Queues } from './queues.ts';
import { queueConfiguration } from './queue-configuration.ts';
import { type DsaRegion, resetQueueConfiguration, restoreLocks } from './region.ts';
import { DeviceState, QueueState, ResetType, SoftwareError } from './values.ts';

/** CMD as the guest wrote it. */
export interface CommandWord {
  readonly code: number;
  readonly operand: number;
  /** Bits 30:25, which must be 0. */
  readonly reserved: number;
  readonly requestInterrupt: boolean;
}

/** What the command processor works with. */
export interface CommandContext {
  readonly device: DsaDescription;
  readonly region: DsaRegion;
  readonly queues: Queues;
  readonly groups: GroupBacking;
  /** Whether the function may reach memory. */
  readonly busMaster: () => boolean;
  readonly trigger: (vector: number) => void;
}

/** What a command does to queues while it runs, see `QueueDevice.command`. */
interface Work {
  readonly queues: readonly number[];
  readonly stopAccepting: boolean;
  readonly abort: boolean;
  readonly disableDevice?: boolean;
  readonly clearCauses?: boolean;
}

/** The error of a command that has ended (0 is success), or `pending` when it ends by itself, now or later. */
type CommandResult = number | 'pending';

/** Operand of commands on several queues: bits 15:0 select queues of the block of 16 in bits 19:16. */
const QUEUES_PER_BLOCK = 16;

/**
 * Administrative commands (DSA specification 9.2.12). What has nothing in flight to wait for finishes inside the
 * register write; the rest leaves CMDSTATUS active, and the engines finish it. The only state is in the registers,
 * because engines change them too.
 */
export class CommandProcessor {
  readonly #context: CommandContext;
  /** Of the command that is active. */
  #interrupt = false;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** The guest wrote CMD. */
  execute(command: CommandWord): void {
    const { queues, region } = this.#context;
    if (region.registers.CMDSTATUS.active) {
      queues.recordError({ code: SoftwareError.commandActive });
      return;
    }
    this.#interrupt = command.requestInterrupt;
    const refusal = this.#refuse(command);
    const error = refusal === CommandError.none ? this.#dispatch(command) : refusal;
    if (error !== 'pending') this.#finish(error);
  }

  /**
   * The function loses its memory, by bus master or power state. While the device is not Disabled that is a forbidden
   * change: it halts until a function-level reset (DSA specification 5.8.3). What is in flight is abandoned before, so
   * that this is the error that the guest sees. A command that is active ends with the error of that state, so that
   * nobody waits for it.
   */
  halt(): void {
    const { queues, region, trigger } = this.#context;
    const { CMDSTATUS, GENCTRL, GENSTS, INTCAUSE } = region.registers;
    if (GENSTS.state === DeviceState.disabled || GENSTS.state === DeviceState.halt) return;
    queues.reset();
    GENSTS.resetType = ResetType.functionLevel;
    GENSTS.state = DeviceState.halt;
    queues.recordError({ code: SoftwareError.configurationChanged });
    INTCAUSE.halt = true;
    if (GENCTRL.haltInterruptEnable) trigger(COMMAND_VECTOR);
    if (CMDSTATUS.active) this.#finish(CommandError.halt);
  }

  /** Errors that do not depend on the command, in the order of their codes' generality; 0 when there is none. */
  #refuse({ code, reserved }: CommandWord): number {
    const { registers } = this.#context.region;
    if (((registers.CMDCAP.commands >>> code) & 1) === 0) return CommandError.unsupported;
    if (registers.GENSTS.state === DeviceState.halt) return CommandError.halt;
    return reserved === 0 ? CommandError.none : CommandError.reservedField;
  }

  /**
   * Runs a supported command.
   *
   * Operands of commands that have none are not looked at: DPDK sends a queue index with all of them.
   */
  #dispatch({ code, operand }: CommandWord): CommandResult {
    switch (code) {
      case Command.enableDevice:
        return this.#enableDevice();
      case Command.disableDevice:
        return this.#disableDevice();
      case Command.drainAll:
        return this.#run({ queues: this.#enabledQueues(), stopAccepting: false, abort: false });
      case Command.abortAll:
        return this.#run({ queues: this.#enabledQueues(), stopAccepting: false, abort: true });
      case Command.resetDevice:
        return this.#resetDevice();
      case Command.enableQueue:
        return this.#enableQueue(operand);
      case Command.disableQueue:
      case Command.drainQueue:
      case Command.abortQueue:
        return this.#onEnabledQueues(code, operand);
      case Command.resetQueue:
        return this.#resetQueues(operand);
      case Command.drainPasid:
      case Command.abortPasid:
        // No descriptor carries a PASID here, so none of that PASID is in flight.
        return CommandError.none;
      case Command.requestInterruptHandle:
        return this.#requestInterruptHandle(operand);
      case Command.releaseInterruptHandle:
        return this.#checkInterruptHandle(operand);
      default:
        return CommandError.unsupported;
    }
  }

  #enableDevice(): number {
    const { busMaster, device, groups, region } = this.#context;
    const { registers } = region;
    const error = checkEnableDevice(registers, device, busMaster());
    if (error !== CommandError.none) return error;
    groups.assign(registers.GRPCFG.map((group) => bitsOf(enginesOf(group))));
    registers.GENSTS.state = DeviceState.enabled;
    restoreLocks(region);
    return CommandError.none;
  }

  #disableDevice(): CommandResult {
    const { GENSTS } = this.#context.region.registers;
    if (GENSTS.state !== DeviceState.enabled) return CommandError.deviceNotEnabled;
    GENSTS.state = DeviceState.draining;
    return this.#run({ queues: this.#enabledQueues(), stopAccepting: true, abort: false, disableDevice: true });
  }

  #resetDevice(): CommandResult {
    const { region } = this.#context;
    const { GENSTS } = region.registers;
    const queues = this.#enabledQueues();
    if (GENSTS.state !== DeviceState.disabled) GENSTS.state = DeviceState.draining;
    // The configuration goes at once: nothing of what is in flight reads it. The state follows when all is abandoned.
    region.reset('software');
    restoreLocks(region);
    return this.#run({ queues, stopAccepting: true, abort: true, disableDevice: true, clearCauses: true });
  }

  #enableQueue(operand: number): number {
    const { queues, region } = this.#context;
    const { registers } = region;
    if (operand > 0xff) return CommandError.reservedField;
    const error = checkEnableQueue(registers, operand);
    const queue = registers.WQCFG[operand];
    if (error !== CommandError.none || queue === undefined) return error;
    // The device is enabled, so the checks of Enable Device have put every queue with a size into a group.
    const group = registers.GRPCFG.findIndex((candidate) => ((queuesOf(candidate) >> BigInt(operand)) & 1n) === 1n);
    queues.enable(operand, { group: this.#context.groups.group(group), ...queueConfiguration(registers, queue) });
    queue.STATUS.state = QueueState.enabled;
    queue.locks.queueEnabled = true;
    return CommandError.none;
  }

  #onEnabledQueues(code: number, operand: number): CommandResult {
    const { registers } = this.#context.region;
    const selected = this.#selectedQueues(operand);
    if (selected === undefined) return CommandError.queueIndex;
    if (selected.some((index) => registers.WQCFG[index]?.STATUS.state !== QueueState.enabled)) {
      return CommandError.queueNotEnabled;
    }
    return this.#run({
      queues: selected,
      stopAccepting: code === Command.disableQueue,
      abort: code === Command.abortQueue,
    });
  }

  #resetQueues(operand: number): CommandResult {
    const { region } = this.#context;
    const selected = this.#selectedQueues(operand);
    if (selected === undefined) return CommandError.queueIndex;
    for (const index of selected) resetQueueConfiguration(region, index);
    const enabled = new Set(this.#enabledQueues());
    return this.#run({ queues: selected.filter((index) => enabled.has(index)), stopAccepting: true, abort: true });
  }

  #requestInterruptHandle(operand: number): CommandResult {
    const error = this.#checkInterruptHandle(operand);
    if (error !== CommandError.none) return error;
    this.#finish(CommandError.none, operand);
    return 'pending';
  }

  /**
   * A handle is the index in the MSI-X table, which serves guests that release by either. There is no interrupt message
   * storage (bit 16).
   */
  #checkInterruptHandle(operand: number): number {
    if (operand > 0x1_ffff) return CommandError.reservedField;
    const { device } = this.#context;
    return operand < vectorCount(device.queues) ? CommandError.none : CommandError.interruptTableIndex;
  }

  /** Lets the engines stop, drain or abort, and finish the command; see {@link Work}. */
  #run(work: Work): 'pending' {
    const { queues, region } = this.#context;
    const { registers } = region;
    registers.CMDSTATUS.value = 0;
    registers.CMDSTATUS.active = true;
    if (work.stopAccepting) {
      for (const index of work.queues) {
        const queue = registers.WQCFG[index];
        if (queue !== undefined) queue.STATUS.state = QueueState.draining;
      }
    }
    queues.command({
      queues: work.queues,
      stopAccepting: work.stopAccepting,
      abort: work.abort,
      effects: completionEffects(region, {
        queues: work.stopAccepting ? work.queues : [],
        disableDevice: work.disableDevice === true,
        clearCauses: work.clearCauses === true,
        interrupt: this.#interrupt,
      }),
    });
    return 'pending';
  }

  /** Ends the command without the engines. */
  #finish(error: number, result = 0): void {
    const { region, trigger } = this.#context;
    const { CMDSTATUS, INTCAUSE } = region.registers;
    CMDSTATUS.value = error | (result << 8);
    if (!this.#interrupt) return;
    INTCAUSE.command = true;
    trigger(COMMAND_VECTOR);
  }

  #enabledQueues(): readonly number[] {
    return [...this.#context.region.registers.WQCFG.entries()]
      .filter(([, queue]) => queue.STATUS.state !== QueueState.disabled)
      .map(([index]) => index);
  }

  /** The queues of an operand, or undefined when it names one that does not exist. */
  #selectedQueues(operand: number): readonly number[] | undefined {
    const first = (operand >>> 16) * QUEUES_PER_BLOCK;
    const selected = bitsOf(BigInt(operand & 0xffff)).map((bit) => first + bit);
    return selected.some((index) => index >= this.#context.device.queues) ? undefined : selected;
  }
}

/** Numbers of the bits that are set, ascending. */
function bitsOf(value: bigint): readonly number[] {
  const bits: number[] = [];
  for (let index = 0, rest = value; rest !== 0n; index++, rest >>= 1n) if ((rest & 1n) === 1n) bits.push(index);
  return bits;
}
