import type { QueueCapabilities } from '../../engine/index.ts';
import { operationBytes, operationWords } from './operations.ts';

/** What descriptors may do, beyond operations and sizes: bits of GENCAP (DSA specification 9.2.2). */
export type DsaFeatures = Required<
  Omit<QueueCapabilities, 'maxTransferShift' | 'maxBatchShift' | 'operations' | 'cacheControl' | 'typed'>
>;

/** What a virtual DSA of one version of the specification is. */
export interface DsaVersion {
  /** VERSION: the major number in bits 15:8, the minor one below. */
  readonly code: number;
  /** OPCAP of a device that has everything, bit n for operation code n. */
  readonly operations: bigint;
  readonly features: DsaFeatures;
}

/** A bitmap of operation codes. */
function operations(...codes: readonly number[]): bigint {
  return codes.reduce((bitmap, code) => bitmap | (1n << BigInt(code)), 0n);
}

const VERSION_1: DsaVersion = {
  code: 0x100,
  operations: operations(
    ...[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09],
    ...[0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x20],
  ),
  features: {
    overlappingMove: true,
    addressTranslation: false,
    translationStride: false,
    destinationReadback: false,
    drainReadback: false,
    fillPattern16: false,
    crc64: false,
    faultInfo: false,
    batchContinuation: false,
    batchOfOne: false,
  },
};

/**
 * Translation fetch (0x0a) and its stride are for functions with address translation services, which this one has not:
 * with those off the operation is answered as one that is not there.
 */
const VERSION_2: DsaVersion = {
  code: 0x200,
  operations: VERSION_1.operations | operations(0x17),
  features: {
    ...VERSION_1.features,
    destinationReadback: true,
    drainReadback: true,
    fillPattern16: true,
    crc64: true,
    faultInfo: true,
    batchContinuation: true,
    batchOfOne: true,
  },
};

/** The versions that an instance may be of, by the name that an operator gives. */
export const DSA_VERSIONS = { '1.0': VERSION_1, '2.0': VERSION_2 } as const;
export type DsaVersionName = keyof typeof DSA_VERSIONS;

/** OPCAP of a device of this version whose engines have these operations (32 bytes). */
export function operationsOf(version: DsaVersionName, engines: Uint8Array): readonly [bigint, bigint, bigint, bigint] {
  const bitmap = DSA_VERSIONS[version].operations;
  const words = [0n, 64n, 128n, 192n].map((shift) => BigInt.asUintN(64, bitmap >> shift));
  return operationWords(operationBytes(words).map((byte, index) => byte & (engines[index] ?? 0)));
}
