import { constants } from 'node:os';

import type { MessageMemory } from '../../mdev/dma/message-memory.ts';
import { Command, MAX_TRANSFER } from '../protocol/constants.ts';
import { decodeDmaAccess, DMA_ACCESS_SIZE, encodeDmaAccess } from '../protocol/structures/index.ts';

const { EFAULT, EINVAL } = constants.errno;

/**
 * Answers a server's DMA_READ or DMA_WRITE from `memory`.
 *
 * @returns the reply's body, or an errno: `EFAULT` when a byte is not there or lacks the right; `EINVAL` for anything else that is wrong.
 */
export function answerDma(memory: MessageMemory, command: number, body: Uint8Array): Uint8Array | number {
  const access = decodeDmaAccess(body);
  if (access === undefined || access.count > BigInt(MAX_TRANSFER)) return EINVAL;
  const count = Number(access.count);
  if (command === Command.dmaRead) {
    const data = memory.read(access.address, count);
    return data === undefined ? EFAULT : encodeDmaAccess(access, data);
  }
  if (command !== Command.dmaWrite || body.length !== DMA_ACCESS_SIZE + count) return EINVAL;
  return memory.write(access.address, body.subarray(DMA_ACCESS_SIZE)) ? encodeDmaAccess(access) : EFAULT;
}
