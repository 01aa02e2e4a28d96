import { MdevError } from '../../mdev/index.ts';
import type { DsaDescription } from './description.ts';
import type { DsaRegion } from './region.ts';

/** Version of the payload that `dsaMigration` writes and takes. */
export const PAYLOAD_VERSION = 2;

/** What has to be the same on both sides, and what the other side may have less of. */
interface Compatibility {
  readonly version: number;
  /** OPCAP's words, in decimal. */
  readonly operations: readonly string[];
  readonly queues: number;
  readonly entries: number;
  readonly maxTransferShift: number;
  readonly maxBatchShift: number;
}

function compatibilityOf({ registers }: DsaRegion, device: DsaDescription): Compatibility {
  return {
    version: registers.VERSION.value,
    operations: shownOperations(registers).map(String),
    queues: device.queues,
    entries: device.entries,
    maxTransferShift: device.maxTransferShift,
    maxBatchShift: device.maxBatchShift,
  };
}

/** OPCAP as the guest reads it: less than the device has when it came from a release that had less, until it is reset. */
export function shownOperations(registers: DsaRegion['registers']): readonly [bigint, bigint, bigint, bigint] {
  return [registers.OPCAP0.value, registers.OPCAP1.value, registers.OPCAP2.value, registers.OPCAP3.value];
}

/** VERSION, OPCAP and the sizes of queues and transfers: what descriptors that are under way may count on. */
export function compatibilityBytes(region: DsaRegion, device: DsaDescription): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(compatibilityOf(region, device)));
}

/**
 * Looks whether a device that another release has described may become this one: as it, but for operations, of which this one may have more.
 *
 * @throws `MdevError` `EINVAL` that names what differs.
 */
export function checkCompatibility(
  region: DsaRegion,
  device: DsaDescription,
  version: number,
  bytes: Uint8Array,
): void {
  if (version !== PAYLOAD_VERSION) {
    throw new MdevError('EINVAL', `its payload has version ${version}, expected ${PAYLOAD_VERSION}`);
  }
  const own = compatibilityOf(region, device);
  const found = parse(bytes);
  for (const name of ['version', 'queues', 'entries', 'maxTransferShift', 'maxBatchShift'] as const) {
    if (found[name] === own[name]) continue;
    throw new MdevError('EINVAL', `compatibility: ${name} is ${JSON.stringify(found[name])}; expected ${own[name]}`);
  }
  const { operations } = found;
  if (!Array.isArray(operations) || operations.length !== device.operations.length) {
    throw new MdevError('EINVAL', `compatibility: operations must be ${device.operations.length} words`);
  }
  for (const [index, word] of operations.entries()) checkOperations(index, wordOf(word), device);
}

/** @throws `MdevError` `EINVAL` if word `index` of an OPCAP has operations that the device has not. */
export function checkOperations(index: number, word: bigint, device: DsaDescription): void {
  const foreign = word & ~(device.operations[index] ?? 0n);
  if (foreign === 0n) return;
  const operation = 64 * index + foreign.toString(2).length - 1;
  throw new MdevError('EINVAL', `its OPCAP has operation 0x${operation.toString(16)}, which this device has not`);
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // Told below.
  }
  throw new MdevError('EINVAL', 'compatibility: expected what a virtual DSA writes');
}

function wordOf(text: unknown): bigint {
  const word = typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (word >= 0n && word < 1n << 64n) return word;
  throw new MdevError('EINVAL', `compatibility: operations has ${JSON.stringify(text)}; expected a word of 64 bits`);
}
