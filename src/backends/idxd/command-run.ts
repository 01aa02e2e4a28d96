import type { QueueCommand } from '../../engine/index.ts';
import { CommandError } from './command-codes.ts';
import type { CommandContext } from './command-context.ts';
import { COMMAND_VECTOR, completionEffects } from './completion.ts';
import { QueueState } from './values.ts';

/** What a command does to queues while it runs, see `QueueDevice.command`. */
export interface Work {
  readonly queues: readonly number[];
  readonly stopAccepting: boolean;
  readonly abort: boolean;
  /** Only what acts for this PASID. */
  readonly pasid?: number;
  readonly disableDevice?: boolean;
  readonly resetDevice?: boolean;
}

/** The log's memory is the guest's own when the device is Disabled; what drains work drains its errors. */
function eventLogUse({ abort, disableDevice }: Work): Pick<QueueCommand, 'eventLog'> {
  if (disableDevice === true) return { eventLog: 'close' };
  return abort ? {} : { eventLog: 'drain' };
}

/** The error of a command that has ended (0 is success), or `pending` when it ends by itself, now or later. */
export type CommandResult = number | 'pending';

/**
 * The command that runs, and its end: CMDSTATUS, cause and interrupt. Its only other state is in the registers, because
 * engines end commands too.
 */
export class CommandRun {
  readonly #context: CommandContext;
  #interrupt = false;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  get active(): boolean {
    return this.#context.region.registers.CMDSTATUS.active;
  }

  /** Whether the end of this one, or of the last one, raises an interrupt. */
  get interrupts(): boolean {
    return this.#interrupt;
  }

  /** A command that is not active yet. @param interrupt Whether its end raises one. */
  begin(interrupt: boolean): void {
    this.#interrupt = interrupt;
  }

  /** Lets the engines stop, drain or abort, and finish the command; see {@link Work}. */
  start(work: Work): 'pending' {
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
      ...(work.pasid !== undefined && { pasid: work.pasid }),
      ...(registers.EVLS.length > 0 && eventLogUse(work)),
      effects: completionEffects(region, {
        queues: work.stopAccepting ? work.queues : [],
        disableDevice: work.disableDevice === true,
        resetDevice: work.resetDevice === true,
        interrupt: this.#interrupt,
      }),
    });
    return 'pending';
  }

  /** Ends the command without the engines. */
  finish(error: number = CommandError.none, result = 0): void {
    const { region, trigger } = this.#context;
    const { CMDSTATUS, INTCAUSE } = region.registers;
    CMDSTATUS.value = error | (result << 8);
    if (!this.#interrupt) return;
    INTCAUSE.command = true;
    trigger(COMMAND_VECTOR);
  }
}
