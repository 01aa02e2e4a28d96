import { MdevError } from '../../mdev/index.ts';
import { CommandError } from './command-codes.ts';
import { checkOperations, shownOperations } from './compatibility.ts';
import type { DsaDescription } from './description.ts';
import { checkDeviceConfiguration } from './enable-device-checks.ts';
import { checkQueueConfiguration } from './enable-queue-checks.ts';
import type { PasidState } from './pasid-state.ts';
import { enabledQueues } from './queue-selection.ts';
import type { DsaRegion } from './region.ts';
import { DeviceState } from './values.ts';

const GROUP_REGISTERS = ['WQS0', 'WQS1', 'WQS2', 'WQS3', 'ENGINES', 'FLAGS'] as const;
/** All of WQCFG but STATUS, which the guest changes by its commands in any device, and the operations, which are those of OPCAP. */
const QUEUE_REGISTERS = ['SIZE', 'THRESHOLD', 'MODE', 'LIMITS', 'OCCUPANCY_INTERRUPT', 'OCCUPANCY_LIMIT'] as const;

/**
 * Looks whether a guest could have brought its device to where these registers are, as far as somebody else than the guest depends on it: the
 * configuration that the operator has fixed, and what Enable Device and Enable Queue have seen to.
 *
 * @throws `MdevError` `EINVAL` that names the register or the command, with its error.
 */
export function checkRestoredRegisters(region: DsaRegion, device: DsaDescription, pasids: PasidState): void {
  const { registers } = region;
  for (const [index, word] of shownOperations(registers).entries()) checkOperations(index, word, device);
  if (!device.configurable) checkFixedConfiguration(region);
  const enabled = enabledQueues(region);
  if (registers.GENSTS.state === DeviceState.disabled) {
    if (enabled[0] === undefined) return;
    throw refused(`work queue ${enabled[0]} is enabled; expected none, for the device is Disabled`);
  }
  const error = checkDeviceConfiguration(registers, device);
  if (error !== CommandError.none) throw refused(`Enable Device would have given error ${hex(error)}`);
  for (const index of enabled) {
    // Reset Queue and Reset Device give power-on values to a queue that has to drain.
    if (registers.WQCFG[index]?.MODE.priority === 0) continue;
    const queueError = checkQueueConfiguration(registers, index, pasids);
    if (queueError === CommandError.none) continue;
    throw refused(`Enable Queue would have given error ${hex(queueError)} for work queue ${index}`);
  }
}

/** Registers whose lock `fixed` nobody releases have the values that they were declared with. */
function checkFixedConfiguration({ registers, table }: DsaRegion): void {
  const { GENCFG, GRPCFG, WQCFG } = table.block.registers;
  checkValue('GENCFG', registers.GENCFG.value, GENCFG.options.reset);
  for (const [index, group] of registers.GRPCFG.entries()) {
    for (const name of GROUP_REGISTERS) {
      checkValue(`GRPCFG[${index}].${name}`, group[name].value, GRPCFG.element[name].options.reset);
    }
  }
  for (const [index, queue] of registers.WQCFG.entries()) {
    for (const name of QUEUE_REGISTERS) {
      checkValue(`WQCFG[${index}].${name}`, queue[name].value, WQCFG.element[name].options.reset);
    }
    const operations = [queue.OPERATIONS0, queue.OPERATIONS1, queue.OPERATIONS2, queue.OPERATIONS3];
    for (const [word, shown] of shownOperations(registers).entries()) {
      checkValue(`WQCFG[${index}].OPERATIONS${word}`, operations[word]?.value ?? 0n, shown);
    }
  }
}

function checkValue(path: string, value: number | bigint, expected: number | bigint = 0): void {
  if (BigInt(value) === BigInt(expected)) return;
  throw refused(`${path} is ${hex(value)}; expected ${hex(expected)}, which the guest cannot change`);
}

function refused(why: string): MdevError {
  return new MdevError('EINVAL', `registers: ${why}`);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
