import type { RegisterFile } from '../../emulation/index.ts';
import type { WorkQueueConfig } from '../../engine/index.ts';
import { operationBytes } from './operations.ts';
import type { DsaRegisterBlock } from './registers.ts';
import { QueueMode } from './values.ts';

type Registers = RegisterFile<DsaRegisterBlock>;

/** WQCFG of a queue that passed the checks of Enable Queue, as engines take it. */
export function queueConfiguration(
  registers: Registers,
  queue: Registers['WQCFG'][number],
): Omit<WorkQueueConfig, 'group'> {
  const { size } = queue.SIZE;
  return {
    size,
    mode: queue.MODE.mode === QueueMode.dedicated ? 'dedicated' : 'shared',
    threshold: Math.min(queue.THRESHOLD.threshold, size),
    priority: queue.MODE.priority,
    maxTransferShift: queue.LIMITS.maxTransferShift,
    maxBatchShift: queue.LIMITS.maxBatchShift,
    operations: operationBytes([
      queue.OPERATIONS0.value,
      queue.OPERATIONS1.value,
      queue.OPERATIONS2.value,
      queue.OPERATIONS3.value,
    ]),
    userInterrupts: registers.GENCFG.userInterruptEnable,
  };
}
