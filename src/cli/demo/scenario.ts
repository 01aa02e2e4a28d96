import type { VfioDevice } from '../../mdev/index.ts';
import { decodeRecord, encodeDescriptor, Flag, RECORD_SIZE } from './descriptor.ts';
import type { DsaDriver } from './dsa-driver.ts';
import { GuestMemory } from './guest-memory.ts';
import type { InterruptLine } from './interrupt-line.ts';
import { expectSame } from './mismatch.ts';
import type { OperationName } from './operation-names.ts';
import { MEMORY_SIZE, type Operation, operations } from './operations.ts';
import type { Measured } from './report.ts';

/**
 * Runs every operation through the portal and checks its record, all of memory, and its interrupt.
 *
 * @param completions - the vector that descriptors name
 * @param corrupt - the operation behind whose back a bit of memory is flipped
 * @throws Mismatch
 */
export async function runOperations(
  device: VfioDevice,
  driver: DsaDriver,
  completions: InterruptLine,
  corrupt: OperationName | undefined,
): Promise<readonly Measured[]> {
  const memory = new GuestMemory(MEMORY_SIZE);
  try {
    await device.dmaMap({ iova: memory.base, size: BigInt(MEMORY_SIZE), file: memory.file });
    const rows: Measured[] = [];
    for (const [index, operation] of operations(memory).entries()) {
      const record = index * RECORD_SIZE;
      rows.push(
        await runOperation(operation, { memory, driver, completions, record, corrupt: corrupt === operation.name }),
      );
    }
    await device.dmaUnmap({ iova: memory.base, size: BigInt(MEMORY_SIZE) });
    return rows;
  } finally {
    memory.close();
  }
}

interface Setting {
  readonly memory: GuestMemory;
  readonly driver: DsaDriver;
  readonly completions: InterruptLine;
  /** Where the completion record goes, offset in guest memory. */
  readonly record: number;
  readonly corrupt: boolean;
}

async function runOperation(operation: Operation, setting: Setting): Promise<Measured> {
  const { completions, corrupt, driver, memory, record } = setting;
  const { bytes, title, weakness } = operation;
  memory.write(record, new Uint8Array(RECORD_SIZE));
  const expected = operation.record(memory.expected);
  operation.apply(memory.expected);
  const descriptor = encodeDescriptor({
    ...operation.descriptor,
    flags: Flag.completionAddressValid | Flag.requestCompletionRecord | Flag.requestCompletionInterrupt,
    completion: memory.address(record),
    interruptHandle: completions.vector,
  });

  if (corrupt && weakness.when === 'before') flipBit(memory.actual, weakness.offset);
  const start = performance.now();
  const [milliseconds] = await Promise.all([
    completions.take(title).then(() => performance.now() - start),
    driver.submit(descriptor),
  ]);
  if (corrupt && weakness.when === 'after') flipBit(memory.actual, weakness.offset);

  const bytesOfRecord = memory.actual.slice(record, record + RECORD_SIZE);
  const got = decodeRecord(bytesOfRecord);
  expectSame(`${title}: status in the completion record`, got.status, expected.status);
  expectSame(`${title}: result in the completion record`, got.result, expected.result);
  expectSame(`${title}: count in the completion record`, got.completed, expected.completed);
  expectSame(`${title}: CRC in the completion record`, got.crc, expected.crc);
  // It is checked; what is left to find is a write to another place.
  memory.expected.set(bytesOfRecord, record);
  memory.check(title);
  return {
    title,
    bytes,
    milliseconds,
    status: got.status,
    vector: completions.vector,
    outcome: operation.outcome(got),
  };
}

function flipBit(bytes: Uint8Array, offset: number): void {
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
}
