import { Command, CommandError } from './command-codes.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandResult, CommandRun } from './command-run.ts';
import { queuesOf } from './enable-device-checks.ts';
import { checkEnableQueue } from './enable-queue-checks.ts';
import { queueConfiguration } from './queue-configuration.ts';
import { enabledQueues, selectedQueues } from './queue-selection.ts';
import { resetQueueConfiguration } from './region.ts';
import { QueueState } from './values.ts';

/** Enable Queue. */
export function enableQueue(context: CommandContext, operand: number): number {
  const { queues, region } = context;
  const { registers } = region;
  if (operand > 0xff) return CommandError.reservedField;
  const error = checkEnableQueue(registers, operand, context.pasids());
  const queue = registers.WQCFG[operand];
  if (error !== CommandError.none || queue === undefined) return error;
  // The device is enabled, so the checks of Enable Device have put every queue with a size into a group.
  const group = registers.GRPCFG.findIndex((candidate) => ((queuesOf(candidate) >> BigInt(operand)) & 1n) === 1n);
  queues.enable(operand, { group: context.groups.group(group), ...queueConfiguration(context, queue) });
  queue.STATUS.state = QueueState.enabled;
  queue.locks.queueEnabled = true;
  return CommandError.none;
}

/** Disable, Drain and Abort Queue. */
export function onEnabledQueues(
  context: CommandContext,
  run: CommandRun,
  code: number,
  operand: number,
): CommandResult {
  const { registers } = context.region;
  const selected = selectedQueues(operand, context.device.queues);
  if (selected === undefined) return CommandError.queueIndex;
  if (selected.some((index) => registers.WQCFG[index]?.STATUS.state !== QueueState.enabled)) {
    return CommandError.queueNotEnabled;
  }
  return run.start({
    queues: selected,
    stopAccepting: code === Command.disableQueue,
    abort: code === Command.abortQueue,
  });
}

/** Reset Queue. */
export function resetQueues(context: CommandContext, run: CommandRun, operand: number): CommandResult {
  const { region } = context;
  const selected = selectedQueues(operand, context.device.queues);
  if (selected === undefined) return CommandError.queueIndex;
  for (const index of selected) resetQueueConfiguration(region, index);
  const enabled = new Set(enabledQueues(context.region));
  return run.start({ queues: selected.filter((index) => enabled.has(index)), stopAccepting: true, abort: true });
}
