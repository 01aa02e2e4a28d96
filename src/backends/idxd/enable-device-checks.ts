import type { RegisterFile } from '../../emulation/index.ts';
import { CommandError, EnableDeviceError } from './command-codes.ts';
import type { DsaDescription } from './description.ts';
import { checkEventLog, checkEventLogPasid } from './event-log.ts';
import { NO_PASIDS, type PasidState } from './pasid-state.ts';
import type { DsaRegisterBlock } from './registers.ts';
import { DeviceState, READ_BUFFERS, READ_BUFFERS_PER_ENGINE } from './values.ts';

type Registers = RegisterFile<DsaRegisterBlock>;
type Group = Registers['GRPCFG'][number];

function bitCount(value: bigint): number {
  let count = 0;
  for (let rest = value; rest !== 0n; rest &= rest - 1n) count += 1;
  return count;
}

/** The queues of a group, bit n for queue n. */
export function queuesOf(group: Group): bigint {
  return group.WQS0.queues | (group.WQS1.queues << 64n) | (group.WQS2.queues << 128n) | (group.WQS3.queues << 192n);
}

/** The engines of a group, bit n for engine n. */
export function enginesOf(group: Group): bigint {
  return group.ENGINES.engines;
}

/** True when a group holds all of `wanted` that any group may hold, and no two groups share one. */
function disjointWithin(sets: readonly bigint[], allowed: bigint): boolean {
  let seen = 0n;
  for (const set of sets) {
    if ((set & ~allowed) !== 0n || (set & seen) !== 0n) return false;
    seen |= set;
  }
  return true;
}

/** The read-buffer rules of DSA specification 9.2.23: every group that has engines needs enough of them. */
function readBuffersFit(registers: Registers): boolean {
  let reserved = 0;
  for (const group of registers.GRPCFG) reserved += group.FLAGS.readBuffersReserved;
  if (reserved > READ_BUFFERS) return false;
  const unreserved = READ_BUFFERS - reserved;
  for (const group of registers.GRPCFG) {
    const needed = READ_BUFFERS_PER_ENGINE * bitCount(enginesOf(group));
    if (needed === 0) continue;
    const { readBuffersAllowed: allowed, readBuffersReserved, useGlobalReadBufferLimit } = group.FLAGS;
    if (allowed < needed || allowed < readBuffersReserved || allowed > readBuffersReserved + unreserved) return false;
    if (useGlobalReadBufferLimit && registers.GENCFG.readBufferLimit < needed) return false;
  }
  return true;
}

/**
 * The error that Enable Device gives for the configuration that the guest wrote, or `none`. The specification lets a
 * device check in any order.
 */
export function checkEnableDevice(
  registers: Registers,
  device: DsaDescription,
  busMaster: boolean,
  pasids: PasidState = NO_PASIDS,
): number {
  if (registers.GENSTS.state !== DeviceState.disabled) return EnableDeviceError.notDisabled;
  if (!busMaster) return EnableDeviceError.busMaster;
  return checkEventLogPasid(registers, pasids) || checkDeviceConfiguration(registers, device);
}

/** What of {@link checkEnableDevice} holds as long as the device is not Disabled: sizes of queues and event log, groups and read buffers. */
export function checkDeviceConfiguration(registers: Registers, device: DsaDescription): number {
  let active = 0n;
  let size = 0;
  for (const [index, queue] of registers.WQCFG.entries()) {
    size += queue.SIZE.size;
    if (queue.SIZE.size > 0) active |= 1n << BigInt(index);
  }
  if (size > device.entries) return EnableDeviceError.queueSizes;
  const eventLog = checkEventLog(registers);
  if (eventLog !== CommandError.none) return eventLog;

  const queues = registers.GRPCFG.map(queuesOf);
  const engines = registers.GRPCFG.map(enginesOf);
  const grouped = queues.reduce((all, set) => all | set, 0n);
  if (!disjointWithin(queues, active) || grouped !== active) return EnableDeviceError.groupQueues;
  if (!disjointWithin(engines, (1n << BigInt(device.engines)) - 1n)) return EnableDeviceError.groupEngines;
  if (queues.some((set, index) => (set === 0n) !== (engines[index] === 0n))) return EnableDeviceError.groupMembers;
  if (!readBuffersFit(registers)) return EnableDeviceError.readBuffers;
  return CommandError.none;
}
