import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { VfioIrq, VfioRegion } from '../../../src/mdev/index.ts';
import {
  type Client,
  connect,
  eventfd,
  type EventFd,
  memoryFile,
  type MemoryFile,
} from '../../../src/vfio-user/index.ts';
import { type Running, start } from '../../cli/support/run.ts';
import { encode, Flag } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, GENSTS, grpcfg, INTCAUSE, SWERROR, wqcfg } from './support/offsets.ts';

// A server in a process of its own, whose engines do the largest work there is while the client looks at registers. What is told is the order of
// events, which does not depend on how busy the machine is: a command that ends work ends it before any of it is complete, and one that waits for work is
// seen to wait, by reads that are answered meanwhile.

/** How long to wait for what must come, milliseconds. */
const PATIENCE = 60_000;
/** The largest move. */
const MOVE_SIZE = 0x8000_0000;
/** A small file at many addresses: two ranges for the largest move that need no 4 GiB of memory. */
const FILE_SIZE = 0x100_0000;
const SOURCE_AT = 0x1_0000_0000n;
/** Not a multiple of the file's size, for else source and destination would be the same bytes. */
const DESTINATION_AT = SOURCE_AT + BigInt(MOVE_SIZE) + 0x80_0000n;
const LARGE_SIZE = 2n * BigInt(MOVE_SIZE) + BigInt(FILE_SIZE);
const RECORDS_AT = 0x1000_0000n;
const RECORD_SIZE = 32;
/** Members of a batch, as many as there may be: 2 TiB, for which a test has no time. Nothing that waits for one of them passes. */
const BATCH_SIZE = 1024;
const LIST_AT = 0x2000_0000n;
/** Batches: all entries of the queue. */
const MANY = 128;
/** Moves of 32 GiB: a command that waits for all of it can be waited for. */
const FEW = 16;
/** Reads that are answered while it waits: there would be none, or few, if the answer to the command, or each of theirs, had to wait for an engine. */
const ANSWERS = 10;

const PORTALS = 2;
const COMMAND = 0x04;
const DEVICE_CONTROL = 0x48;
const FUNCTION_LEVEL_RESET = 0x8000;

let folder: string;
let server: Running;
let client: Client;
let records: MemoryFile;
let list: MemoryFile;
let vectors: readonly [EventFd, EventFd];
let slot = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-liveness-'));
  const socketPath = join(folder, 'socket');
  server = await start('cli/main.js', ['serve', '--type', 'dsa-cfg-v1', '--socket-path', socketPath]);
  await server.line();
  client = await connect({ socketPath });
  vectors = [eventfd(), eventfd()];
  await client.setIrqs({ index: VfioIrq.msix, eventfds: vectors.map(({ fd }) => fd) });
  records = memoryFile(0x1000);
  await client.dmaMap({ iova: RECORDS_AT, size: 0x1000n, file: records });
  list = memoryFile(64 * BATCH_SIZE);
  const member = encode({ opcode: 3, source: SOURCE_AT, destination: DESTINATION_AT, size: MOVE_SIZE });
  for (let index = 0; index < BATCH_SIZE; index++) new Uint8Array(list.buffer).set(member, 64 * index);
  await client.dmaMap({ iova: LIST_AT, size: BigInt(64 * BATCH_SIZE), file: list });
  const file = memoryFile(FILE_SIZE);
  const size = BigInt(FILE_SIZE);
  for (let address = SOURCE_AT; address < SOURCE_AT + LARGE_SIZE; address += size) {
    await client.dmaMap({ iova: address, size, file });
  }
  file.close();
});

afterAll(async () => {
  await client.close();
  for (const vector of vectors) vector.close();
  records.close();
  list.close();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function read32(offset: number): Promise<number> {
  return await client.readRegister(0, offset, 4);
}

/** A command with nothing to wait for, but an engine that has not noted yet that its descriptor, seen complete, is. */
async function command(code: number, operand = 0): Promise<void> {
  await client.writeRegister(0, CMD, 4, (code << 20) | operand);
  const end = performance.now() + PATIENCE;
  let status = await read32(CMDSTATUS);
  while (status === ACTIVE && performance.now() < end) status = await read32(CMDSTATUS);
  expect(status, `command ${code}`).toBe(0);
}

/** Queue 0 with all entries on two engines. */
async function bringUp(): Promise<void> {
  await client.writeRegister(VfioRegion.config, COMMAND, 2, 6);
  await client.writeRegister(0, wqcfg(0), 4, MANY);
  await client.writeRegister(0, wqcfg(0) + 8, 4, 0xa1);
  await client.writeRegister(0, wqcfg(0) + 12, 4, 31 | (10 << 5));
  await client.writeRegister64(0, grpcfg(0), 1n);
  await client.writeRegister64(0, grpcfg(0) + 32, 3n);
  await command(Code.enableDevice);
  await command(Code.enableWq, 0);
  await client.writeRegister(0, INTCAUSE, 4, 0xffff_ffff);
  statuses().fill(0);
  for (const vector of vectors) vector.read();
}

/** First byte of each completion record, in place. */
function statuses(): Uint8Array {
  return new Uint8Array(records.buffer);
}

function completed(): number {
  return Array.from({ length: MANY }, (_, index) => statuses()[index * RECORD_SIZE]).filter((status) => status !== 0)
    .length;
}

/** Submits a descriptor that leaves a record and interrupts. */
async function submit(
  record: number,
  work: { opcode: number; source?: bigint; destination?: bigint; size?: number },
): Promise<void> {
  const flags = Flag.recordValid | Flag.record | Flag.interrupt;
  const bytes = encode({ ...work, flags, completion: RECORDS_AT + BigInt(RECORD_SIZE * record), handle: 1 });
  await client.writeRegion(PORTALS, 0x1000 + 64 * (slot++ % 64), bytes, { posted: true });
}

/** Moves that are through in a while. */
async function loadMoves(count: number): Promise<void> {
  const work = { opcode: 3, source: SOURCE_AT, destination: DESTINATION_AT, size: MOVE_SIZE };
  for (let index = 0; index < count; index++) await submit(index, work);
  expect(await client.readRegister64(0, SWERROR)).toBe(0n);
}

/** Batches that are never through. */
async function loadBatches(): Promise<void> {
  for (let index = 0; index < MANY; index++) await submit(index, { opcode: 1, source: LIST_AT, size: BATCH_SIZE });
  expect(await client.readRegister64(0, SWERROR)).toBe(0n);
}

/** The next interrupts of a vector. */
async function interrupts(vector: EventFd): Promise<number> {
  try {
    return await new Promise((resolve) => {
      vector.onSignal(resolve);
    });
  } finally {
    vector.onSignal(null);
  }
}

/**
 * What ended before is all there is: the device works again, and its next record and interrupt are the only ones.
 *
 * @param before completion records that were there when it had ended
 */
async function nothingFollows(before: number): Promise<void> {
  const end = performance.now() + 300;
  while (performance.now() < end) await read32(GENSTS);
  expect([completed(), vectors[0].read(), vectors[1].read()]).toEqual([before, 0, 0]);
  if ((await read32(GENSTS)) !== 1) await bringUp();
  statuses().fill(0);
  const interrupt = interrupts(vectors[1]);
  await submit(0, { opcode: 0 });
  expect(await interrupt).toBe(1);
  expect([completed(), statuses()[0], vectors[0].read(), vectors[1].read()]).toEqual([1, 1, 0, 0]);
  await command(Code.disableDevice);
}

/** Writes a command that interrupts, and reads its status until it has ended. @returns how often it was seen active. */
async function run(code: number): Promise<number> {
  const begin = performance.now();
  await client.writeRegister(0, CMD, 4, (0x8000_0000 | (code << 20)) >>> 0);
  let answers = 0;
  let status = await read32(CMDSTATUS);
  for (; status === ACTIVE && performance.now() - begin < PATIENCE; answers++) status = await read32(CMDSTATUS);
  expect(status).toBe(0);
  return answers;
}

test.each([
  ['Reset Device', Code.resetDevice, 0],
  ['Abort All', Code.abortAll, 1],
])(
  '%s with the largest work in flight: it is ended in the middle, and nothing comes after it',
  async (_, code, state) => {
    await bringUp();
    await loadBatches();
    await run(code);
    if (vectors[0].read() === 0) await interrupts(vectors[0]);
    expect([completed(), vectors[1].read()]).toEqual([0, 0]);
    expect([await read32(GENSTS), await read32(INTCAUSE)]).toEqual([state, 2]);
    await nothingFollows(0);
  },
  120_000,
);

test.each([
  ['Drain All', Code.drainAll, 1],
  ['Disable Device', Code.disableDevice, 0],
])(
  '%s with the largest moves in flight: registers answer, it ends, and nothing comes after it',
  async (_, code, state) => {
    await bringUp();
    await loadMoves(FEW);
    expect(await run(code)).toBeGreaterThan(ANSWERS);
    if (vectors[0].read() === 0) await interrupts(vectors[0]);
    // What was waited for is complete, and has raised its interrupts, too.
    expect([completed(), vectors[1].read()]).toEqual([FEW, FEW]);
    expect([await read32(GENSTS), await read32(INTCAUSE)]).toEqual([state, 2]);
    await nothingFollows(FEW);
  },
  120_000,
);

test.each([
  ['FLR', () => client.writeRegister(VfioRegion.config, DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET)],
  ['DEVICE_RESET', () => client.reset()],
])(
  '%s with the largest work in flight: it is ended in the middle, and nothing comes after it',
  async (_, reset) => {
    await bringUp();
    await loadBatches();
    await reset();
    expect([completed(), vectors[1].read()]).toEqual([0, 0]);
    await client.writeRegister(VfioRegion.config, COMMAND, 2, 6);
    const registers = [GENSTS, CMDSTATUS, INTCAUSE, SWERROR].map((offset) => read32(offset));
    expect(await Promise.all(registers)).toEqual([0, 0, 0, 0]);
    await nothingFollows(0);
  },
  120_000,
);
