import { QueueState } from './values.ts';
import type { DsaRegion } from './region.ts';

/** Operand of commands on several queues: bits 15:0 select queues of the block of 16 in bits 19:16. */
const QUEUES_PER_BLOCK = 16;

/** Queues that are not disabled. */
export function enabledQueues({ registers }: DsaRegion): readonly number[] {
  return [...registers.WQCFG.entries()]
    .filter(([, queue]) => queue.STATUS.state !== QueueState.disabled)
    .map(([index]) => index);
}

/**
 * The queues of an operand, or undefined when it names one that does not exist.
 * @param queues How many there are.
 */
export function selectedQueues(operand: number, queues: number): readonly number[] | undefined {
  const first = (operand >>> 16) * QUEUES_PER_BLOCK;
  const selected = bitsOf(BigInt(operand & 0xffff)).map((bit) => first + bit);
  return selected.some((index) => index >= queues) ? undefined : selected;
}

/** Numbers of the bits that are set, ascending. */
export function bitsOf(value: bigint): readonly number[] {
  const bits: number[] = [];
  for (let index = 0, rest = value; rest !== 0n; index++, rest >>= 1n) if ((rest & 1n) === 1n) bits.push(index);
  return bits;
}
