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

// A server in a process of its own, whose engines do the largest work there is while the client looks at registers.

/** The longest that a reply may take, milliseconds: less than any of the work takes, more than a busy machine delays it. */
const PROMPT = 3_000;
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
/** 256 GiB: no machine gets through with it before the command. */
const MANY = 128;
/** 32 GiB: a command that waits for all of it can be waited for. */
const FEW = 16;

const PORTALS = 2;
const COMMAND = 0x04;
const DEVICE_CONTROL = 0x48;
const FUNCTION_LEVEL_RESET = 0x8000;

let folder: string;
let server: Running;
let client: Client;
let records: MemoryFile;
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
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** The slowest reply, milliseconds, and how many there were. */
class Replies {
  count = 0;
  slowest = 0;

  async time<V>(reply: Promise<V>): Promise<V> {
    const begin = performance.now();
    const value = await reply;
    this.count += 1;
    this.slowest = Math.max(this.slowest, performance.now() - begin);
    return value;
  }
}

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

async function submit(opcode: number, record: number, size = 0): Promise<void> {
  const flags = Flag.recordValid | Flag.record | Flag.interrupt;
  const completion = RECORDS_AT + BigInt(RECORD_SIZE * record);
  const addresses = size === 0 ? {} : { source: SOURCE_AT, destination: DESTINATION_AT };
  const bytes = encode({ opcode, flags, completion, size, handle: 1, ...addresses });
  await client.writeRegion(PORTALS, 0x1000 + 64 * (slot++ % 64), bytes);
}

async function load(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await submit(3, index, MOVE_SIZE);
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
  const replies = new Replies();
  const end = performance.now() + 300;
  while (performance.now() < end) await replies.time(read32(GENSTS));
  expect(replies.slowest).toBeLessThan(PROMPT);
  expect([completed(), vectors[0].read(), vectors[1].read()]).toEqual([before, 0, 0]);
  if ((await read32(GENSTS)) !== 1) await bringUp();
  statuses().fill(0);
  const interrupt = interrupts(vectors[1]);
  await submit(0, 0);
  expect(await interrupt).toBe(1);
  expect([completed(), statuses()[0], vectors[0].read(), vectors[1].read()]).toEqual([1, 1, 0, 0]);
  await command(Code.disableDevice);
}

test.each([
  ['Reset Device', Code.resetDevice, MANY, 0],
  ['Abort All', Code.abortAll, MANY, 1],
  ['Drain All', Code.drainAll, FEW, 1],
  ['Disable Device', Code.disableDevice, FEW, 0],
])(
  '%s with the largest moves in flight: registers answer, it ends, and nothing comes after it',
  async (_, code, count, state) => {
    await bringUp();
    await load(count);
    const replies = new Replies();
    const begin = performance.now();
    await replies.time(client.writeRegister(0, CMD, 4, (0x8000_0000 | (code << 20)) >>> 0));
    let status = await replies.time(read32(CMDSTATUS));
    while (status === ACTIVE && performance.now() - begin < PATIENCE) status = await replies.time(read32(CMDSTATUS));
    // Records are counted after the command has ended, so none of these came later.
    const before = completed();
    expect(status).toBe(0);
    expect(replies.slowest, `slowest of ${replies.count} replies`).toBeLessThan(PROMPT);
    if (vectors[0].read() === 0) await interrupts(vectors[0]);
    // What was completed has raised its interrupts, too; what was waited for is complete.
    expect(vectors[1].read()).toBe(before);
    if (count === FEW) {
      expect(before).toBe(FEW);
      // Copying 32 GiB takes long enough to be looked at.
      expect(replies.count).toBeGreaterThan(10);
    } else expect(before).toBeLessThan(MANY);
    expect([await read32(GENSTS), await read32(INTCAUSE)]).toEqual([state, 2]);
    await nothingFollows(before);
  },
  120_000,
);

test.each([
  ['FLR', () => client.writeRegister(VfioRegion.config, DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET)],
  ['DEVICE_RESET', () => client.reset()],
])(
  '%s with the largest moves in flight: it answers, and nothing comes after it',
  async (_, reset) => {
    await bringUp();
    await load(MANY);
    const replies = new Replies();
    await replies.time(reset());
    const before = completed();
    expect(vectors[1].read()).toBe(before);
    await replies.time(client.writeRegister(VfioRegion.config, COMMAND, 2, 6));
    const registers = [GENSTS, CMDSTATUS, INTCAUSE, SWERROR].map((offset) => replies.time(read32(offset)));
    expect(await Promise.all(registers)).toEqual([0, 0, 0, 0]);
    expect(replies.slowest).toBeLessThan(PROMPT);
    expect(before).toBeLessThan(MANY);
    await nothingFollows(before);
  },
  120_000,
);
