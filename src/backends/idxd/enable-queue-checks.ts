import type { RegisterFile } from '../../emulation/index.ts';
import { CommandError, EnableQueueError } from './command-codes.ts';
import type { DsaRegisterBlock } from './registers.ts';
import { DeviceState, QueueMode, QueueState } from './values.ts';

type Registers = RegisterFile<DsaRegisterBlock>;

function checkOperations(registers: Registers, index: number): number {
  const queue = registers.WQCFG[index];
  if (queue === undefined) return CommandError.queueIndex;
  const pairs = [
    [queue.OPERATIONS0, registers.OPCAP0],
    [queue.OPERATIONS1, registers.OPCAP1],
    [queue.OPERATIONS2, registers.OPCAP2],
    [queue.OPERATIONS3, registers.OPCAP3],
  ] as const;
  const within = pairs.every(([wanted, offered]) => (wanted.value & ~offered.value) === 0n);
  return within ? CommandError.none : EnableQueueError.operations;
}

/**
 * The error that Enable Queue gives for queue `index`, or `none`. The specification lets a device check in any order.
 */
export function checkEnableQueue(registers: Registers, index: number): number {
  const queue = registers.WQCFG[index];
  if (queue === undefined) return CommandError.queueIndex;
  if (registers.GENSTS.state !== DeviceState.enabled) return EnableQueueError.deviceNotEnabled;
  if (queue.STATUS.state !== QueueState.disabled) return EnableQueueError.notDisabled;
  if (queue.SIZE.size === 0) return EnableQueueError.size;
  const error = checkQueueConfiguration(registers, index);
  if (error !== CommandError.none) return error;
  const { interruptEnable } = queue.OCCUPANCY_LIMIT;
  return interruptEnable && !registers.WQCAP.occupancyInterrupt
    ? EnableQueueError.occupancyInterrupt
    : CommandError.none;
}

/** What of {@link checkEnableQueue} holds as long as the queue is not disabled: mode, limits and operations. */
export function checkQueueConfiguration(registers: Registers, index: number): number {
  const queue = registers.WQCFG[index];
  if (queue === undefined) return CommandError.queueIndex;
  return checkMode(registers, queue.MODE) || checkLimits(registers, queue.LIMITS) || checkOperations(registers, index);
}

function checkMode(registers: Registers, mode: Registers['WQCFG'][number]['MODE']): number {
  const { GENCAP, WQCAP } = registers;
  if (mode.priority === 0) return EnableQueueError.priority;
  const offered = mode.mode === QueueMode.dedicated ? WQCAP.dedicatedMode : WQCAP.sharedMode;
  if (!offered) return EnableQueueError.mode;
  if (mode.blockOnFaultEnable && !GENCAP.blockOnFault) return EnableQueueError.blockOnFault;
  // The function has no PASID capability, so privileged mode is off; without a PASID the bit has no meaning and is let
  // be.
  if (mode.pasidEnable) return mode.privileged ? EnableQueueError.privileged : EnableQueueError.pasidEnable;
  if (mode.atsDisable && !WQCAP.atsDisable) return EnableQueueError.atsDisable;
  if (mode.prsDisable && !WQCAP.prsDisable) return EnableQueueError.prsDisable;
  return CommandError.none;
}

function checkLimits({ GENCAP }: Registers, limits: Registers['WQCFG'][number]['LIMITS']): number {
  const { maxBatchShift, maxTransferShift } = limits;
  if (maxBatchShift > GENCAP.maxBatchShift) return EnableQueueError.batchSize;
  if (maxBatchShift === 0 && !GENCAP.batchOfOne) return EnableQueueError.batchSize;
  if (maxTransferShift > GENCAP.maxTransferShift) return EnableQueueError.transferSize;
  return CommandError.none;
}
