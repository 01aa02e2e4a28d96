/** A device that executes descriptors one after the other, byte by byte, in JavaScript. */
import { DESCRIPTOR_SIZE, type DifTags, Flag, Opcode, putTags, RECORD_SIZE, Status } from '../support/descriptor.ts';
import { crc32c, crc64 } from './crc.ts';
import { applyDelta, createDelta } from './delta.ts';
import { dif } from './dif.ts';
import { Fault, faultOf, type ReferenceMemory } from './memory.ts';
import { type Limits, violations } from './rules.ts';
import { elementwise } from './typed/elementwise.ts';

/** How a descriptor ends. */
export interface Ending {
  readonly status: number;
  readonly result?: number;
  readonly completed?: number;
  readonly faultAddress?: number;
  /** Bytes 16 to 19 of the record. */
  readonly extra?: number;
  /** Bytes 16 to 23. */
  readonly crc64?: bigint;
  readonly sourceTags?: DifTags;
  readonly destinationTags?: DifTags;
}

/** What the device tells of an error that no record tells. */
export interface ReportedError {
  readonly code: number;
  readonly opcode: number;
  readonly batchIndex: number | undefined;
  readonly write: boolean;
  readonly information: number;
  readonly faultAddress: number;
}

interface Place {
  readonly batchIndex: number | undefined;
}

/** An error in the choice of an answer: checks may be made in any order, so the device says which one it made first. */
export type Choose = (candidates: ReadonlyMap<number, number>) => number;

export class Model {
  readonly memory: ReferenceMemory;
  readonly limits: Limits;
  /** In the order in which they came. */
  readonly errors: ReportedError[] = [];
  readonly interrupts: number[] = [];
  readonly #choose: Choose;

  constructor(memory: ReferenceMemory, limits: Limits, choose: Choose) {
    this.memory = memory;
    this.limits = limits;
    this.#choose = choose;
  }

  /** Executes a descriptor and everything that belongs to it. */
  submit(bytes: Uint8Array): void {
    this.#process(bytes, { batchIndex: undefined });
  }

  /** @returns whether it ended with success, in the sense of batches. */
  #process(bytes: Uint8Array, place: Place): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR_SIZE);
    const flags = view.getUint32(4, true) & 0xffffff;
    const found = violations(bytes, this.limits, place.batchIndex !== undefined);
    let ending: Ending;
    if (found.size > 0) {
      const status = this.#choose(found);
      ending = { status, extra: found.get(status) ?? 0 };
    } else {
      ending = this.#operate(view, flags);
    }
    return this.#end(ending, view, flags, place);
  }

  #end(ending: Ending, view: DataView, flags: number, place: Place): boolean {
    const { status } = ending;
    const failed = ![Status.success, Status.predicateFalse, Status.batchMemberFailed].some((good) => good === status);
    const handle = view.getUint16(36, true);
    const interrupt = (): void => {
      if ((flags & Flag.requestInterrupt) !== 0 && handle < this.limits.handles) this.interrupts.push(handle);
    };
    const report = (code: number, fault: Fault | undefined, information: number): void => {
      this.errors.push({
        code,
        opcode: view.getUint8(7),
        batchIndex: place.batchIndex,
        write: fault?.write ?? false,
        information,
        faultAddress: fault?.address ?? 0,
      });
    };
    if (status === Status.recordAlignment) {
      report(status, undefined, 0);
      return false;
    }
    if ((flags & Flag.recordAddressValid) === 0) {
      if (failed) {
        const fault = new Fault(ending.faultAddress ?? 0, (status & 0x80) !== 0);
        let information = 0;
        if (status === Status.invalidFlags) information = ending.extra ?? 0;
        if (status === Status.interruptHandle) information = handle;
        report(status & 0x7f, fault, information);
      }
    } else if (failed || (flags & Flag.requestRecord) !== 0) {
      const address = Number(view.getBigUint64(8, true));
      try {
        this.memory.writeAll(address, encode(ending));
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        report(Status.recordFault, new Fault(address, true), 0);
        return false;
      }
    }
    interrupt();
    return status === Status.success;
  }

  #operate(view: DataView, flags: number): Ending {
    const opcode = view.getUint8(7);
    if (opcode === Opcode.noOp) return { status: Status.success };
    if (opcode === Opcode.drain) return this.#drain(view, flags);
    if (opcode === Opcode.batch) return this.#batch(view, (flags & Flag.batchError) !== 0);
    const size = view.getUint32(32, true);
    const first = Number(view.getBigUint64(16, true));
    const second = Number(view.getBigUint64(24, true));
    const third = Number(view.getBigUint64(40, true));
    const { memory } = this;
    switch (opcode) {
      case Opcode.memoryMove: {
        const backward = second > first && second < first + size;
        return walk(size, backward, (i) => {
          const value = memory.read(first + i);
          memory.write(second + i, value);
        });
      }
      case Opcode.dualcast:
        return walk(size, false, (i) => {
          const value = memory.read(first + i);
          memory.probe(second + i);
          memory.probe(third + i);
          memory.write(second + i, value);
          memory.write(third + i, value);
        });
      case Opcode.fill: {
        const pattern = [16, 17, 18, 19, 20, 21, 22, 23].map((at) => view.getUint8(at));
        const upper = [40, 41, 42, 43, 44, 45, 46, 47].map((at) => view.getUint8(at));
        if ((flags & Flag.pattern16) !== 0) pattern.push(...upper);
        return walk(size, false, (i) => {
          memory.write(second + i, pattern[i % pattern.length] ?? 0);
        });
      }
      case Opcode.translationFetch: {
        const stride = (flags & Flag.useStride) !== 0 ? view.getUint32(48, true) : 4096;
        return walk(size, false, (i) => {
          if (i % stride !== 0) return;
          memory.translate(first + i - ((first + i) % 4096));
        });
      }
      case Opcode.compare:
      case Opcode.comparePattern: {
        const other = (i: number): number =>
          opcode === Opcode.compare ? memory.read(second + i) : view.getUint8(24 + (i % 8));
        let difference: number | undefined;
        const ending = walk(size, false, (i) => {
          if (difference === undefined && memory.read(first + i) !== other(i)) difference = i;
          return difference === undefined;
        });
        if (ending.status !== Status.success) return ending;
        const result = difference === undefined ? 0 : 1;
        const wrong = (flags & Flag.checkResult) !== 0 && (view.getUint8(40) & 1) !== result;
        return { status: wrong ? Status.predicateFalse : Status.success, result, completed: difference ?? 0 };
      }
      case Opcode.cacheFlush:
        return walk(size, false, (i) => memory.read(second + i) >= 0);
      case Opcode.createDelta:
        return createDelta(memory, view, (flags & Flag.checkResult) !== 0);
      case Opcode.applyDelta:
        return applyDelta(memory, view);
      case Opcode.difCheck:
      case Opcode.difInsert:
      case Opcode.difStrip:
      case Opcode.difUpdate:
      case Opcode.dixGenerate:
        return dif(memory, view);
      case Opcode.typeConversion:
      case Opcode.reduce:
      case Opcode.reduceDualcast:
        return elementwise(memory, view, (flags & Flag.checkResult) !== 0);
      default:
        return this.#checksum(view, flags, { size, first, second, copy: opcode === Opcode.copyWithCrc });
    }
  }

  #checksum(
    view: DataView,
    flags: number,
    { size, first, second, copy }: { size: number; first: number; second: number; copy: boolean },
  ): Ending {
    const { memory } = this;
    const wide = (flags & Flag.crc64) !== 0;
    let seed = wide ? view.getBigUint64(40, true) : BigInt(view.getUint32(40, true));
    if ((flags & Flag.readSeed) !== 0) {
      const address = Number(view.getBigUint64(48, true));
      try {
        const parts = [...memory.range(address, wide ? 8 : 4)];
        seed = parts.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
      } catch (error) {
        return { status: Status.pageFault, faultAddress: faultOf(error).address };
      }
    }
    const done: number[] = [];
    const ending = walk(size, false, (i) => {
      const value = memory.read(first + i);
      if (copy) memory.write(second + i, value);
      done.push(value);
    });
    const modes = { raw: (flags & Flag.rawCrc) !== 0, straightData: (flags & Flag.straightData) !== 0 };
    if (wide) return { ...ending, crc64: crc64(seed, done, modes) };
    return { ...ending, extra: crc32c(Number(seed), done, modes) };
  }

  #drain(view: DataView, flags: number): Ending {
    for (const [flag, at] of [
      [Flag.readback1, 16],
      [Flag.readback2, 24],
    ] as const) {
      try {
        if ((flags & flag) !== 0) this.memory.read(Number(view.getBigUint64(at, true)));
      } catch (error) {
        return { status: Status.readbackFault, faultAddress: faultOf(error).address };
      }
    }
    return { status: Status.success };
  }

  #batch(view: DataView, continued: boolean): Ending {
    const version2 = this.limits.version2 === true;
    const list = Number(view.getBigUint64(16, true));
    const count = view.getUint32(32, true);
    let failed = continued;
    const result = (): number => (version2 && failed ? 1 : 0);
    for (let index = 0; index < count; index++) {
      const address = list + index * DESCRIPTOR_SIZE;
      let member: Uint8Array;
      try {
        member = Uint8Array.from(this.memory.range(address, DESCRIPTOR_SIZE));
      } catch (error) {
        const { address: faultAddress } = faultOf(error);
        return { status: Status.batchListFault, completed: index, faultAddress, result: result() };
      }
      if (failed && ((member[4] ?? 0) & Flag.fence) !== 0)
        return { status: Status.batchMemberFailed, completed: index, result: result() };
      if (!this.#process(member, { batchIndex: index })) failed = true;
    }
    return { status: failed ? Status.batchMemberFailed : Status.success, completed: count, result: result() };
  }
}

/** Visits every byte until one faults, or `visit` returns false. */
function walk(size: number, backward: boolean, visit: (index: number) => unknown): Ending {
  for (let done = 0; done < size; done++) {
    try {
      if (visit(backward ? size - 1 - done : done) === false) break;
    } catch (error) {
      const { address, write } = faultOf(error);
      return {
        status: Status.pageFault | (write ? 0x80 : 0),
        completed: done,
        faultAddress: address,
        result: backward ? 1 : 0,
      };
    }
  }
  return { status: Status.success };
}

function encode(ending: Ending): Uint8Array {
  const bytes = new Uint8Array(RECORD_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, ending.status);
  view.setUint8(1, ending.result ?? 0);
  view.setUint32(4, ending.completed ?? 0, true);
  view.setBigUint64(8, BigInt(ending.faultAddress ?? 0), true);
  view.setUint32(16, ending.extra ?? 0, true);
  if (ending.crc64 !== undefined) view.setBigUint64(16, ending.crc64, true);
  if (ending.sourceTags !== undefined) putTags(view, 16, ending.sourceTags);
  if (ending.destinationTags !== undefined) putTags(view, 24, ending.destinationTags);
  return bytes;
}
