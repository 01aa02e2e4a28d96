import type { RegisterFile } from '../../emulation/index.ts';
import { CommandError, EnableQueueError } from './command-codes.ts';
import type { PasidState } from './pasid-state.ts';
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
export function checkEnableQueue(registers: Registers, index: number, pasids: PasidState): number {
  const queue = registers.WQCFG[index];
  if (queue === undefined) return CommandError.queueIndex;
  if (registers.GENSTS.state !== DeviceState.enabled) return EnableQueueError.deviceNotEnabled;
  if (queue.STATUS.state !== QueueState.disabled) return EnableQueueError.notDisabled;
  if (queue.SIZE.size === 0) return EnableQueueError.size;
  const error = checkQueueConfiguration(registers, index, pasids);
  if (error !== CommandError.none) return error;
  const { interruptEnable } = queue.OCCUPANCY_LIMIT;
  return interruptEnable && !registers.WQCAP.occupancyInterrupt
    ? EnableQueueError.occupancyInterrupt
    : CommandError.none;
}

/** What of {@link checkEnableQueue} holds as long as the queue is not disabled: mode, limits and operations. */
export function checkQueueConfiguration(registers: Registers, index: number, pasids: PasidState): number {
  const queue = registers.WQCFG[index];
  if (queue === undefined) return CommandError.queueIndex;
  return (
    checkMode(registers, queue.MODE, pasids) ||
    checkLimits(registers, queue.LIMITS) ||
    checkOperations(registers, index)
  );
}

function checkMode(registers: Registers, mode: Registers['WQCFG'][number]['MODE'], pasids: PasidState): number {
  const { GENCAP, WQCAP } = registers;
  if (mode.priority === 0) return EnableQueueError.priority;
  const shared = mode.mode === QueueMode.shared;
  const offered = shared ? WQCAP.sharedMode : WQCAP.dedicatedMode;
  if (!offered) return EnableQueueError.mode;
  if (mode.blockOnFaultEnable && !GENCAP.blockOnFault) return EnableQueueError.blockOnFault;
  const pasidError = checkPasid(mode, shared, pasids);
  if (pasidError !== CommandError.none) return pasidError;
  if (mode.atsDisable && !WQCAP.atsDisable) return EnableQueueError.atsDisable;
  if (mode.prsDisable && !WQCAP.prsDisable) return EnableQueueError.prsDisable;
  return CommandError.none;
}

/**
 * A shared queue's descriptors name their submitters, where there are any: a function that shows no PASIDs has none but
 * itself (decision 22). Without a PASID, and in a shared queue, the privileged bit has no meaning and is let be.
 */
function checkPasid(mode: { pasidEnable: boolean; privileged: boolean }, shared: boolean, pasids: PasidState): number {
  if (!mode.pasidEnable) return shared && pasids.shown ? EnableQueueError.pasidEnable : CommandError.none;
  if (!shared && mode.privileged && !pasids.privileged) return EnableQueueError.privileged;
  return pasids.enabled ? CommandError.none : EnableQueueError.pasidEnable;
}

function checkLimits({ GENCAP }: Registers, limits: Registers['WQCFG'][number]['LIMITS']): number {
  const { maxBatchShift, maxTransferShift } = limits;
  if (maxBatchShift > GENCAP.maxBatchShift) return EnableQueueError.batchSize;
  if (maxBatchShift === 0 && !GENCAP.batchOfOne) return EnableQueueError.batchSize;
  if (maxTransferShift > GENCAP.maxTransferShift) return EnableQueueError.transferSize;
  return CommandError.none;
}
