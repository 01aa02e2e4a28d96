import { setImmediate as turn } from 'node:timers/promises';

import { VfioRegion } from '../../../../../src/mdev/index.ts';
import { readRecord, RECORD_SIZE } from '../../../../engine/support/descriptor.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, grpcfg, SWERROR, wqcfg } from '../offsets.ts';
import type { Arena, GuestMemory } from './guest-memory.ts';
import type { Random } from './random.ts';
import type { ServerProcess } from './server-process.ts';
import { HANDLES, type Work, WorkMaker } from './works.ts';

/** Entries of the queues: three of all sorts, one of large work only, whose engine is always in the middle of some, and one that is always quick. */
const QUEUES = [900, 900, 900, 20, 32] as const;
const LARGE = 3;
const QUICK = 4;
/** Queues of a group, and its engines: two engines for two queues, one for two, one for one. */
const GROUPS = [
  [0b00011, 0b0011],
  [0b01100, 0b0100],
  [0b10000, 0b1000],
] as const;
/** A vector that only single no-ops use. */
export const LATCHED = QUICK + 1;
/** MSI-X pending bits in BAR0. */
const PENDING_BITS = 0x3000;
/** What a record is overwritten with once it was seen. */
const POISON = 0xa5;
/** Slots of a portal that halves of descriptors lie in. */
const HALVES_AT = 48;
const SLOTS = 64;

interface Submitted {
  readonly queue: number;
  readonly work: Work;
}

/** A descriptor of which the device has a part. */
interface Half extends Submitted {
  readonly at: number;
  /** Offsets of what is missing. */
  readonly missing: readonly number[];
}

/** A guest with a driver that keeps a DSA busy, and looks at everything that comes back. */
export class VirtualMachine {
  readonly memory: GuestMemory;
  /** Interrupts of each vector that have to come in the end. */
  readonly expectedInterrupts = new Array<number>(QUICK + 2).fill(0);
  /** Descriptors that have ended, by what they were. */
  readonly ended = new Map<string, number>();
  readonly #random: Random;
  readonly #maker: WorkMaker;
  readonly #free: Arena[];
  readonly #freeLarge: Arena[];
  readonly #waiting: number[] = QUEUES.map(() => 0);
  #server: ServerProcess;
  #submitted: Submitted[] = [];
  #halves: Half[] = [];
  #slot = 0;
  #commandRuns = false;

  constructor(memory: GuestMemory, server: ServerProcess, random: Random) {
    this.memory = memory;
    this.#server = server;
    this.#random = random;
    this.#maker = new WorkMaker(memory, random);
    this.#free = [...memory.small, ...memory.messages];
    this.#freeLarge = [...memory.large];
  }

  /** Descriptors that have been submitted and have not ended. */
  get inFlight(): number {
    return this.#submitted.filter(({ work }) => !this.#isRecorded(work)).length;
  }

  get server(): ServerProcess {
    return this.#server;
  }

  /** Configures and enables device and queues, as a driver does. */
  async bringUp(): Promise<void> {
    const { client } = this.#server;
    await client.writeRegister(VfioRegion.config, 4, 2, 6);
    await client.writeRegister(VfioRegion.config, 0x82, 2, 0x8000);
    for (const [queue, size] of QUEUES.entries()) {
      await client.writeRegister(0, wqcfg(queue), 4, size);
      await client.writeRegister(0, wqcfg(queue) + 8, 4, queue % 2 === 0 ? 0xa1 : 0x31);
      await client.writeRegister(0, wqcfg(queue) + 12, 4, 31 | (10 << 5));
    }
    for (const [group, [queues, engines]] of GROUPS.entries()) {
      await client.writeRegister(0, grpcfg(group), 4, queues);
      await client.writeRegister(0, grpcfg(group) + 32, 4, engines);
    }
    const commands = [Code.enableDevice << 20, ...QUEUES.map((_, queue) => (Code.enableWq << 20) | queue)];
    for (const command of commands) {
      await client.writeRegister(0, CMD, 4, command);
      const status = await client.readRegister(0, CMDSTATUS, 4);
      if (status !== 0) throw new Error(`command 0x${command.toString(16)} ended with 0x${status.toString(16)}`);
    }
  }

  /** Fills the queues, as far as there is memory to work in. Sends without waiting. */
  fill(): void {
    const random = this.#random;
    for (let queue = 0; queue < QUICK; queue++) {
      for (let room = (QUEUES[queue] ?? 0) - (this.#waiting[queue] ?? 0); room > 0; room--) {
        const work = this.#next(queue);
        this.#submit({ queue, work }, random.oneIn(4) ? 8 : 64);
      }
    }
  }

  /** Leaves parts of descriptors in portals. */
  beginHalves(): void {
    const random = this.#random;
    for (let count = random.between(1, 3); count > 0; count--) {
      const queue = random.below(QUEUES.length);
      const limited = random.oneIn(2) ? 0x1000 : 0;
      const at = queue * 0x4000 + limited + 64 * (HALVES_AT + random.below(SLOTS - HALVES_AT));
      if (this.#halves.some((half) => half.at === at) || (this.#waiting[queue] ?? 0) >= (QUEUES[queue] ?? 0)) continue;
      const places = Array.from({ length: 8 }, (_, index) => 8 * index);
      if (random.oneIn(2)) places.reverse();
      const given = random.between(1, 7);
      const half = { queue, work: this.#next(queue), at, missing: places.slice(given) };
      for (const place of places.slice(0, given)) this.#store(at + place, half.work.bytes.subarray(place, place + 8));
      this.#halves.push(half);
      this.#waiting[queue] = (this.#waiting[queue] ?? 0) + 1;
    }
  }

  /** Gives the device the rest of what it has a part of. */
  endHalves(): void {
    for (const { at, missing, queue, work } of this.#halves.splice(0)) {
      for (const place of missing) this.#store(at + place, work.bytes.subarray(place, place + 8));
      this.#count({ queue, work });
    }
  }

  /** Has the device raise {@link LATCHED}, and waits until it has. */
  async latch(): Promise<void> {
    const work = this.#maker.signal(LATCHED);
    this.#waiting[QUICK] = (this.#waiting[QUICK] ?? 0) + 1;
    this.#submit({ queue: QUICK, work }, 64);
    await this.#until('a no-op of the quick queue', () => !this.#submitted.some((one) => one.work === work));
    // The interrupt comes behind the record.
    const { client } = this.#server;
    const pending = async (): Promise<boolean> => (await client.readRegister(0, PENDING_BITS, 1)) >> LATCHED === 1;
    await this.#until('the pending bit', pending);
  }

  /** Has the device drain a queue; it says so by vector 0. */
  beginDrain(): void {
    if (this.#commandRuns) return;
    this.#commandRuns = true;
    const command = (0x8000_0000 | (Code.drainWq << 20) | (1 << this.#random.below(QUICK))) >>> 0;
    void this.#server.client.writeRegister(0, CMD, 4, command, { posted: true });
    this.#expect(0);
  }

  /** Sees to the command. */
  async endDrain(): Promise<void> {
    if (!this.#commandRuns) return;
    const { client } = this.#server;
    let status = ACTIVE;
    await this.#until('a command', async () => {
      status = await client.readRegister(0, CMDSTATUS, 4);
      return (status & ACTIVE) === 0;
    });
    if (status !== 0) throw new Error(`the drain ended with 0x${status.toString(16)}`);
    this.#commandRuns = false;
  }

  /** The guest goes on with another server, which has its memory. */
  moveTo(server: ServerProcess): void {
    this.#server = server;
    this.memory.use(server.bytes);
  }

  /** Looks at what has ended: records as the specification has them, data as expected. Each record is overwritten then. */
  look(): void {
    this.#submitted = this.#submitted.filter((one) => !this.#hasEnded(one));
  }

  /** Waits for everything. */
  async finish(): Promise<void> {
    this.endHalves();
    await this.endDrain();
    await this.#until('the end of all descriptors', () => this.#submitted.length === 0);
    if (((await this.#server.client.readRegister(0, SWERROR, 4)) & 1) !== 0)
      throw new Error('there was a software error');
  }

  #next(queue: number): Work {
    const large = queue === LARGE ? this.#takeArena(this.#freeLarge) : undefined;
    if (large !== undefined) return this.#maker.moves(large);
    const arena = this.#random.oneIn(3) ? undefined : this.#takeArena(this.#free);
    return arena === undefined ? this.#maker.plain() : this.#maker.in(arena);
  }

  #takeArena(free: Arena[]): Arena | undefined {
    const last = free.pop();
    if (last === undefined) return undefined;
    const at = this.#random.below(free.length + 1);
    const arena = free[at] ?? last;
    if (arena !== last) free[at] = last;
    return arena;
  }

  #submit(one: Submitted, width: number): void {
    const at = one.queue * 0x4000 + 0x1000 + 64 * (this.#slot++ % HALVES_AT);
    const { bytes } = one.work;
    for (let done = 0; done < 64; done += width) this.#store(at + done, bytes.subarray(done, done + width));
    this.#count(one);
    this.#waiting[one.queue] = (this.#waiting[one.queue] ?? 0) + 1;
  }

  #count(one: Submitted): void {
    this.#submitted.push(one);
    for (const vector of one.work.interrupts) this.#expect(vector);
  }

  #expect(vector: number): void {
    this.expectedInterrupts[vector] = (this.expectedInterrupts[vector] ?? 0) + 1;
  }

  #store(at: number, bytes: Uint8Array): void {
    void this.#server.client.writeRegion(2, at, bytes, { posted: true });
  }

  #hasEnded({ queue, work }: Submitted): boolean {
    const { memory } = this;
    if (!this.#isRecorded(work)) return false;
    for (const { at, fields } of work.records) {
      const record = readRecord(memory.actual(at, RECORD_SIZE));
      for (const [name, value] of Object.entries(fields)) {
        const found = record[name as keyof typeof record];
        if (found === value) continue;
        throw new Error(
          `${work.name}: ${name} is ${JSON.stringify(found)} in its record, expected ${JSON.stringify(value)}`,
        );
      }
      memory.write(at, new Uint8Array(RECORD_SIZE).fill(POISON));
    }
    this.#checkData(work);
    if (work.arena !== undefined)
      (this.memory.large.includes(work.arena) ? this.#freeLarge : this.#free).push(work.arena);
    this.#waiting[queue] = (this.#waiting[queue] ?? 0) - 1;
    const kind = work.name.replace(/ of .*/u, '');
    this.ended.set(kind, (this.ended.get(kind) ?? 0) + 1);
    return true;
  }

  #isRecorded({ records }: Work): boolean {
    const last = records.at(-1);
    return last !== undefined && this.memory.actual(last.at, 1)[0] !== 0;
  }

  #checkData({ arena, name }: Work): void {
    if (arena === undefined) return;
    const { at, size } = arena.data;
    const difference = firstDifference(this.memory.actual(at, size), this.memory.expected.subarray(at, at + size));
    if (difference >= 0) throw new Error(`${name}: byte ${difference} of its ${size} is wrong`);
  }

  async #until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const start = performance.now();
    while (!(await condition())) {
      if (performance.now() - start > 60_000) throw new Error(`${what} did not come within 60 s`);
      await turn();
      this.look();
    }
  }
}

/** The first place where two arrays of the same length differ; -1: nowhere. */
export function firstDifference(left: Uint8Array, right: Uint8Array): number {
  if (Buffer.compare(left, right) === 0) return -1;
  return left.findIndex((byte, index) => byte !== right[index]);
}

if (HANDLES >= LATCHED) throw new Error('descriptors use the vector that is to latch');
