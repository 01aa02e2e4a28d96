import { Command, CommandError } from './command-codes.ts';
import type { CommandContext } from './command-context.ts';
import { type CommandResult, CommandRun } from './command-run.ts';
import { COMMAND_VECTOR } from './completion.ts';
import { disableDevice, enableDevice, resetDevice } from './device-commands.ts';
import { vectorCount } from './layout.ts';
import { enableQueue, onEnabledQueues, resetQueues } from './queue-commands.ts';
import { enabledQueues } from './queue-selection.ts';
import { DeviceState, ResetType, SoftwareError } from './values.ts';

/** CMD as the guest wrote it. */
export interface CommandWord {
  readonly code: number;
  readonly operand: number;
  /** Bits 30:25, which must be 0. */
  readonly reserved: number;
  readonly requestInterrupt: boolean;
}

/** What CMD holds once its command was taken: bytes that are written later are not completed by those of an earlier command. */
const TAKEN: CommandWord = { code: 0, operand: 0, reserved: 0, requestInterrupt: false };

/**
 * Administrative commands (DSA specification 9.2.12). What has nothing in flight to wait for finishes inside the
 * register write; the rest leaves CMDSTATUS active, and the engines finish it. The state is in the registers, because
 * engines change them too.
 */
export class CommandProcessor {
  readonly #context: CommandContext;
  readonly #run: CommandRun;

  constructor(context: CommandContext) {
    this.#context = context;
    this.#run = new CommandRun(context);
  }

  /** Whether the command that runs interrupts when it ends: the only state that is not in the registers. */
  get interrupts(): boolean {
    return this.#run.interrupts;
  }
  set interrupts(interrupts: boolean) {
    this.#run.begin(interrupts);
  }

  /** The guest wrote CMD. @returns what the register holds from now on; guests read 0. */
  execute(command: CommandWord): CommandWord {
    if (this.#run.active) {
      this.#context.queues.recordError({ code: SoftwareError.commandActive });
      return TAKEN;
    }
    this.#run.begin(command.requestInterrupt);
    const refusal = this.#refuse(command);
    const error = refusal === CommandError.none ? this.#dispatch(command) : refusal;
    if (error !== 'pending') this.#run.finish(error);
    return TAKEN;
  }

  /**
   * The function loses its memory, by bus master or power state. While the device is not Disabled that is a forbidden
   * change: it halts until a function-level reset (DSA specification 5.8.3). What is in flight is abandoned before, so
   * that this is the error that the guest sees. A command that is active ends with the error of that state, so that
   * nobody waits for it.
   */
  halt(): void {
    const { queues, region, trigger } = this.#context;
    const { GENCTRL, GENSTS, INTCAUSE } = region.registers;
    if (GENSTS.state === DeviceState.disabled || GENSTS.state === DeviceState.halt) return;
    queues.reset();
    region.locks.resetActive = false;
    GENSTS.resetType = ResetType.functionLevel;
    GENSTS.state = DeviceState.halt;
    queues.recordError({ code: SoftwareError.configurationChanged });
    INTCAUSE.halt = true;
    if (GENCTRL.haltInterruptEnable) trigger(COMMAND_VECTOR);
    if (this.#run.active) this.#run.finish(CommandError.halt);
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
        return enableDevice(this.#context);
      case Command.disableDevice:
        return disableDevice(this.#context, this.#run);
      case Command.drainAll:
        return this.#run.start({ queues: enabledQueues(this.#context.region), stopAccepting: false, abort: false });
      case Command.abortAll:
        return this.#run.start({ queues: enabledQueues(this.#context.region), stopAccepting: false, abort: true });
      case Command.resetDevice:
        return resetDevice(this.#context, this.#run);
      case Command.enableQueue:
        return enableQueue(this.#context, operand);
      case Command.disableQueue:
      case Command.drainQueue:
      case Command.abortQueue:
        return onEnabledQueues(this.#context, this.#run, code, operand);
      case Command.resetQueue:
        return resetQueues(this.#context, this.#run, operand);
      case Command.drainPasid:
      case Command.abortPasid:
        return this.#run.start({
          queues: enabledQueues(this.#context.region),
          stopAccepting: false,
          abort: code === Command.abortPasid,
          pasid: operand,
        });
      case Command.requestInterruptHandle:
        return this.#requestInterruptHandle(operand);
      case Command.releaseInterruptHandle:
        return this.#checkInterruptHandle(operand);
      default:
        return CommandError.unsupported;
    }
  }

  #requestInterruptHandle(operand: number): CommandResult {
    const error = this.#checkInterruptHandle(operand);
    if (error !== CommandError.none) return error;
    this.#run.finish(CommandError.none, operand);
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
}
