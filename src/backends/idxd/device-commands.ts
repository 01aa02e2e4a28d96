import { CommandError } from './command-codes.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandResult, CommandRun } from './command-run.ts';
import { checkEnableDevice, enginesOf } from './enable-device-checks.ts';
import { eventLogConfiguration } from './event-log-configuration.ts';
import { bitsOf, enabledQueues } from './queue-selection.ts';
import { restoreLocks } from './region.ts';
import { DeviceState } from './values.ts';

/** Enable Device. */
export function enableDevice(context: CommandContext): number {
  const { busMaster, device, groups, pasids, queues, region } = context;
  const { registers } = region;
  const error = checkEnableDevice(registers, device, busMaster(), pasids());
  if (error !== CommandError.none) return error;
  groups.assign(registers.GRPCFG.map((group) => bitsOf(enginesOf(group))));
  registers.GENSTS.state = DeviceState.enabled;
  const eventLog = eventLogConfiguration(context);
  if (eventLog !== undefined) {
    for (const { STATUS } of registers.EVLS) STATUS.value = 0n;
    queues.openEventLog(eventLog);
  }
  restoreLocks(region);
  return CommandError.none;
}

/** Disable Device. */
export function disableDevice(context: CommandContext, run: CommandRun): CommandResult {
  const { GENSTS } = context.region.registers;
  if (GENSTS.state !== DeviceState.enabled) return CommandError.deviceNotEnabled;
  GENSTS.state = DeviceState.draining;
  return run.start({ queues: enabledQueues(context.region), stopAccepting: true, abort: false, disableDevice: true });
}

/** Reset Device. */
export function resetDevice(context: CommandContext, run: CommandRun): CommandResult {
  const { region } = context;
  const { GENSTS } = region.registers;
  const queues = enabledQueues(context.region);
  if (GENSTS.state !== DeviceState.disabled) GENSTS.state = DeviceState.draining;
  // The configuration goes at once: nothing of what is in flight reads it. The state follows when all is abandoned.
  region.reset('software');
  restoreLocks(region);
  region.locks.resetActive = true;
  return run.start({ queues, stopAccepting: true, abort: true, disableDevice: true, resetDevice: true });
}
