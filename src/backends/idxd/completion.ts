import { lockEffect, type RegisterEffect, wordEffect } from '../../emulation/index.ts';
import { CommandError } from './command-codes.ts';
import type { DsaRegion } from './region.ts';
import { DeviceState, QueueState } from './values.ts';

/** What a command changes when it has finished. */
export interface Outcome {
  /** These queues become disabled. */
  readonly queues: readonly number[];
  /** The device becomes Disabled. */
  readonly disableDevice: boolean;
  /** All causes are forgotten, and the configuration can be written again (Reset Device). */
  readonly resetDevice: boolean;
  /** The guest asked for an interrupt. */
  readonly interrupt: boolean;
}

/** The vector of commands and errors. */
export const COMMAND_VECTOR = 0;

/** Register changes and interrupts for the engines to apply when nothing of the command is in flight any more. */
export interface CompletionEffects {
  readonly registers: readonly RegisterEffect[];
  readonly vectors: readonly number[];
}

/**
 * A successful command's end, in the order in which the guest may see it: queues and device first, then CMDSTATUS, then
 * the cause, then the interrupt.
 */
export function completionEffects(region: DsaRegion, outcome: Outcome): CompletionEffects {
  const { table } = region;
  const registers: RegisterEffect[] = [];
  for (const index of outcome.queues) {
    registers.push(
      ...wordEffect(table, `WQCFG[${index}].STATUS`, { state: QueueState.disabled }),
      ...lockEffect(table, ['WQCFG', index, 'queueEnabled'], false),
    );
  }
  if (outcome.disableDevice) {
    registers.push(
      ...wordEffect(table, 'GENSTS', { state: DeviceState.disabled }),
      ...lockEffect(table, 'deviceEnabled', false),
    );
  }
  if (outcome.resetDevice) {
    registers.push(...wordEffect(table, 'INTCAUSE', CLEARED_CAUSES), ...lockEffect(table, 'resetActive', false));
  }
  registers.push(...wordEffect(table, 'CMDSTATUS', { error: CommandError.none, result: 0, active: false }));
  if (outcome.interrupt) registers.push(...wordEffect(table, 'INTCAUSE', { command: true }));
  return { registers, vectors: outcome.interrupt ? [COMMAND_VECTOR] : [] };
}

const CLEARED_CAUSES = {
  softwareError: false,
  command: false,
  occupancy: false,
  performanceMonitor: false,
  halt: false,
  eventLog: false,
  handlesRevoked: false,
};
