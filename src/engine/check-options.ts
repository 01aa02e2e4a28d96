import { checkInteger, checkOperations } from './checks.ts';
import { supportedOperations } from './operations.ts';
import type { EventLogConfig, QueueCapabilities, QueueDeviceOptions, WorkQueueConfig } from './queue-options.ts';
import { checkTypedCapabilities, maxListShift } from './typed-capabilities.ts';
import { MAX_WORD } from './words.ts';

const MAX_QUEUES = 256;
const MAX_VECTORS = 2048;
/** The most that a queue holds. */
export const MAX_ENTRIES = 0xffff;
const MAX_PRIORITY = 15;
/** PASIDs have 20 bits. */
export const MAX_PASID = 0xfffff;
const MAX_TRANSFER_SHIFT = 31;
const MAX_BATCH_SHIFT = 15;
const MAX_REGION = 8;
const LOG_ALIGNMENT = 4096n;
const LEAST_LOG_ENTRIES = 64;
/** In place of an offset. */
const NO_EVENT_LOG = MAX_WORD;

/**
 * @returns where the shared registers are, in the order of the native constructor.
 * @throws RangeError that names the option and what was expected.
 */
export function checkOptions(options: QueueDeviceOptions): Uint32Array {
  const { capabilities, registers } = options;
  checkInteger('portalRegion', options.portalRegion, 0, MAX_REGION);
  checkInteger('registerRegion', options.registerRegion, 0, MAX_REGION);
  checkInteger('queues', options.queues, 1, MAX_QUEUES);
  checkInteger('vectors', options.vectors, 0, MAX_VECTORS);
  checkInteger('capabilities.maxTransferShift', capabilities.maxTransferShift, 0, MAX_TRANSFER_SHIFT);
  checkInteger('capabilities.maxBatchShift', capabilities.maxBatchShift, 0, MAX_BATCH_SHIFT);
  checkOperations('capabilities.operations', capabilities.operations, supportedOperations(), 'the engine');
  if (capabilities.typed !== undefined) checkTypedCapabilities('capabilities.typed', capabilities.typed);
  const places = {
    'registers.softwareError': registers.softwareError,
    'registers.interruptCause': registers.interruptCause,
    'registers.generalControl': registers.generalControl,
    'registers.workQueueStatus.offset': registers.workQueueStatus.offset,
    'registers.workQueueStatus.stride': registers.workQueueStatus.stride,
    'registers.msixPermissions.offset': registers.msixPermissions.offset,
    'registers.msixPermissions.stride': registers.msixPermissions.stride,
  };
  for (const [name, value] of Object.entries(places)) checkInteger(name, value, 0, MAX_WORD);
  const { eventLogStatus = NO_EVENT_LOG } = registers;
  checkInteger('registers.eventLogStatus', eventLogStatus, 0, NO_EVENT_LOG);
  return Uint32Array.of(...Object.values(places), eventLogStatus);
}

/** @throws RangeError that names the value and what was expected. */
export function checkEventLog({ address, entries, entrySize }: EventLogConfig): void {
  if (BigInt.asUintN(64, address) !== address || address % LOG_ALIGNMENT !== 0n) {
    throw new RangeError(`address is ${address}; expected 64 bits, a multiple of ${LOG_ALIGNMENT}`);
  }
  checkInteger('entries', entries, LEAST_LOG_ENTRIES, MAX_ENTRIES);
  if (![64, 128, 256].includes(entrySize)) throw new RangeError(`entrySize is ${entrySize}; expected 64, 128 or 256`);
}

/**
 * @returns the operations that the queue takes.
 * @throws RangeError that names the value and what was expected.
 */
export function checkConfig(config: WorkQueueConfig, capabilities: QueueCapabilities): Uint8Array {
  checkInteger('size', config.size, 1, MAX_ENTRIES);
  checkInteger('threshold', config.threshold, 0, config.size);
  checkInteger('priority', config.priority, 1, MAX_PRIORITY);
  checkInteger('maxTransferShift', config.maxTransferShift, 0, capabilities.maxTransferShift);
  checkInteger('maxBatchShift', config.maxBatchShift, 0, capabilities.maxBatchShift);
  if (config.maxListShift !== undefined) {
    checkInteger('maxListShift', config.maxListShift, 0, maxListShift(capabilities.typed ?? [0n, 0n, 0n]));
  }
  if (config.pasid !== undefined) checkInteger('pasid', config.pasid, 0, MAX_PASID);
  const operations = config.operations ?? capabilities.operations;
  checkOperations('operations', operations, capabilities.operations, 'the device');
  return operations;
}

/** @throws RangeError for one that no device has. */
export function checkVectors(vectors: readonly number[]): void {
  for (const vector of vectors) checkInteger('vector', vector, 0, MAX_VECTORS - 1);
}
