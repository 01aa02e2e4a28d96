import type { DsaDescription } from '../../../../src/backends/idxd/description.ts';
import { DSA_VERSIONS } from '../../../../src/backends/idxd/versions.ts';

/** Opcodes 0 to 3, and a few of other words. */
const operations = [0x1_003f_003fn, 0n, 0n, 1n] as const;

/** A device that the guest configures. */
export const configurable: DsaDescription = {
  queues: 4,
  entries: 64,
  groups: 3,
  engines: 2,
  configurable: true,
  priority: 0,
  maxTransferShift: 31,
  maxBatchShift: 10,
  version: 0x100,
  features: DSA_VERSIONS['1.0'].features,
  operations,
  interruptHandles: false,
};

/** A device in fixed configuration. */
export const fixed: DsaDescription = {
  ...configurable,
  queues: 1,
  entries: 16,
  groups: 1,
  engines: 1,
  configurable: false,
  priority: 8,
};
