import type { DeviceRegion } from '../../mdev/index.ts';
import type { DsaRegisterBlock } from './registers.ts';
import { DeviceState, QueueState } from './values.ts';

/** The device's side of BAR0. */
export type DsaRegion = DeviceRegion<DsaRegisterBlock>;

/** Takes the locks that the registers' present values ask for; a reset has released them all. */
export function restoreLocks(region: DsaRegion): void {
  const { locks, registers } = region;
  locks.resetActive = false;
  locks.fixed = !registers.GENCAP.configurable;
  locks.deviceEnabled = registers.GENSTS.state !== DeviceState.disabled;
  for (const queue of registers.WQCFG) {
    queue.locks.queueEnabled = queue.STATUS.state !== QueueState.disabled;
    queue.locks.occupancyInterruptEnabled = queue.OCCUPANCY_LIMIT.interruptEnable;
  }
}

/** Gives the configuration of one queue its reset values, all but the size (Reset Queue). */
export function resetQueueConfiguration(region: DsaRegion, index: number): void {
  const queue = region.registers.WQCFG[index];
  if (queue === undefined) return;
  const { element } = region.table.block.registers.WQCFG;
  queue.THRESHOLD.value = Number(element.THRESHOLD.options.reset ?? 0);
  queue.MODE.value = Number(element.MODE.options.reset ?? 0);
  queue.LIMITS.value = Number(element.LIMITS.options.reset ?? 0);
  queue.OCCUPANCY_INTERRUPT.value = Number(element.OCCUPANCY_INTERRUPT.options.reset ?? 0);
  queue.OCCUPANCY_LIMIT.value = Number(element.OCCUPANCY_LIMIT.options.reset ?? 0);
  queue.OPERATIONS0.value = region.registers.OPCAP0.value;
  queue.OPERATIONS1.value = region.registers.OPCAP1.value;
  queue.OPERATIONS2.value = region.registers.OPCAP2.value;
  queue.OPERATIONS3.value = region.registers.OPCAP3.value;
  queue.locks.occupancyInterruptEnabled = queue.OCCUPANCY_LIMIT.interruptEnable;
}
