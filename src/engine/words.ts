/** What the addon takes as numbers, in its order: `queue_device_object.cc` has the other side. */
import type { RegisterEffect } from '../emulation/index.ts';
import { checkInteger } from './checks.ts';
import type { EventLogConfig, QueueCapabilities, WorkQueueConfig } from './queue-options.ts';
import type { TypedCapabilities } from './typed-capabilities.ts';

/** The largest unsigned 32-bit number. */
export const MAX_WORD = 0xffffffff;

/** In the order of the addon's bits. */
export function capabilityBits(capabilities: QueueCapabilities): number {
  const flags = [
    capabilities.overlappingMove,
    capabilities.cacheControl === false,
    capabilities.destinationReadback === true,
    capabilities.faultInfo === true,
    capabilities.batchContinuation === true,
    capabilities.batchOfOne === true,
    capabilities.addressTranslation === true,
    capabilities.translationStride === true,
    capabilities.drainReadback === true,
    capabilities.fillPattern16 === true,
    capabilities.crc64 === true,
  ];
  return flags.reduce((bits, flag, bit) => bits | (Number(flag) << bit), 0);
}

/** The two halves of each of the three registers, the lower one first; 0 when absent. */
export function typedCapabilityWords(capabilities: TypedCapabilities = [0n, 0n, 0n]): Uint32Array {
  return new Uint32Array(BigUint64Array.from(capabilities).buffer);
}

/** Elements of {@link configurationWords}. */
export const CONFIGURATION_WORDS = 12;

/** In the order of the addon's elements. */
export function configurationWords(config: WorkQueueConfig): Uint32Array {
  return Uint32Array.of(
    config.size,
    Number(config.mode === 'dedicated'),
    config.priority,
    config.maxTransferShift,
    config.maxBatchShift,
    Number(config.blockOnFault === true),
    Number(config.userInterrupts !== false),
    Number(config.pasid !== undefined),
    config.pasid ?? 0,
    Number(config.privileged === true),
    config.threshold,
    config.maxListShift === undefined ? 0 : 2 ** config.maxListShift,
  );
}

/** In the order of the addon's elements. */
export function eventLogWords({ address, entries, entrySize }: EventLogConfig): Uint32Array {
  return Uint32Array.of(Number(address & 0xffff_ffffn), Number(address >> 32n), entries, entrySize);
}

const EFFECT_OPERATIONS = { store: 0, or: 1, and: 2 } as const;

/** Three elements for each effect. @throws RangeError for what does not fit into 32 bits. */
export function effectWords(effects: readonly RegisterEffect[]): Uint32Array {
  const words = new Uint32Array(3 * effects.length);
  let at = 0;
  for (const { offset, operation, value } of effects) {
    words[at++] = checkInteger('effect offset', offset, 0, MAX_WORD);
    words[at++] = EFFECT_OPERATIONS[operation];
    words[at++] = checkInteger('effect value', value, 0, MAX_WORD);
  }
  return words;
}

/** An error's code, whether it is about a queue, and which. */
export function errorWords(code: number, queue: number | undefined): Uint32Array {
  return Uint32Array.of(code, Number(queue !== undefined), queue ?? 0);
}
