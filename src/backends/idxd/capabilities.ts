import type { DsaDescription } from './description.ts';
import { eventLogCode } from './event-log.ts';
import { GRPCFG_OFFSET, MSIXPERM_OFFSET, OFFSET_UNIT, WQCFG_OFFSET, WQCFG_SIZE_CODE } from './layout.ts';
import { supportedCommands } from './command-codes.ts';
import { READ_BUFFERS } from './values.ts';

/** Values of the read-only capability registers. DSA specification 9.2.1 to 9.2.7 and 9.2.14. */
export interface CapabilityValues {
  readonly version: number;
  readonly general: bigint;
  readonly queues: bigint;
  readonly groups: bigint;
  readonly engines: bigint;
  /** OFFSETS, low and high word. */
  readonly offsets: readonly [bigint, bigint];
  readonly commands: bigint;
}

/** A field's value at its place. */
function at(bit: number, value: number | boolean): bigint {
  return BigInt(value) << BigInt(bit);
}

/**
 * What the registers say of a device. Only what exists is there: no block-on-fault, no occupancy
 * interrupt, no IMS, no performance monitor.
 */
export function capabilityValues(device: DsaDescription): CapabilityValues {
  const { features, queueModes = 'dedicated' } = device;
  return {
    version: device.version,
    general:
      at(1, features.overlappingMove) |
      at(2, true) | // cache-write hint: taken, and without effect on memory that is always coherent
      at(4, true) | // CMDCAP
      at(7, features.translationStride) |
      at(8, features.destinationReadback) |
      at(9, features.drainReadback) |
      at(10, features.fillPattern16) |
      at(11, features.crc64) |
      at(12, features.faultInfo) |
      at(13, eventLogCode(device)) |
      at(15, features.batchContinuation) |
      at(16, device.maxTransferShift) |
      at(21, device.maxBatchShift) |
      at(31, device.configurable) |
      at(32, eventLogCode(device) !== 0) | // what does not fit into the event log is dropped
      at(52, features.batchOfOne),
    queues:
      at(0, device.entries) |
      at(16, device.queues) |
      at(24, WQCFG_SIZE_CODE) |
      at(48, queueModes !== 'dedicated') |
      at(49, queueModes !== 'shared') |
      at(51, true) | // priority
      at(52, true) | // occupancy readable
      at(54, true), // operation bitmap per queue
    groups:
      at(0, device.groups) |
      at(8, READ_BUFFERS) |
      at(16, true) | // read-buffer controls per group
      at(17, true), // global read-buffer limit
    engines: at(0, device.engines),
    offsets: [
      at(0, GRPCFG_OFFSET / OFFSET_UNIT) | at(16, WQCFG_OFFSET / OFFSET_UNIT) | at(32, MSIXPERM_OFFSET / OFFSET_UNIT),
      0n,
    ],
    commands: BigInt(supportedCommands(device.interruptHandles)),
  };
}
