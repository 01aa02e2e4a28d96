import type { WorkQueueConfig } from '../../engine/index.ts';
import type { CommandContext } from './command-context.ts';
import { operationBytes } from './operations.ts';
import { QueueMode } from './values.ts';

type Context = Pick<CommandContext, 'device' | 'pasids' | 'region'>;

/** WQCFG of a queue that passed the checks of Enable Queue, as engines take it. */
export function queueConfiguration(
  { device, pasids, region: { registers } }: Context,
  queue: Context['region']['registers']['WQCFG'][number],
): Omit<WorkQueueConfig, 'group'> {
  const { size } = queue.SIZE;
  const shared = queue.MODE.mode === QueueMode.shared;
  return {
    size,
    mode: shared ? 'shared' : 'dedicated',
    threshold: Math.min(queue.THRESHOLD.threshold, size),
    priority: device.priority || queue.MODE.priority,
    maxTransferShift: queue.LIMITS.maxTransferShift,
    maxBatchShift: queue.LIMITS.maxBatchShift,
    operations: operationBytes([
      queue.OPERATIONS0.value,
      queue.OPERATIONS1.value,
      queue.OPERATIONS2.value,
      queue.OPERATIONS3.value,
    ]),
    userInterrupts: registers.GENCFG.userInterruptEnable,
    // A shared queue's descriptors name both themselves.
    ...(queue.MODE.pasidEnable && {
      pasid: shared ? 0 : queue.MODE.pasid,
      privileged: shared ? pasids().privileged : queue.MODE.privileged,
    }),
  };
}
