// Errors of all kinds against a model of SWERROR and the event log, while a guest does what it likes with head, interrupts,
// registers and the log's memory, and while the device is suspended, moved, reset, disabled and enabled.
import fc from 'fast-check';
import { describe, it, expect } from 'vitest';

import type { EventLogConfig } from '../../src/engine/index.ts';
import { descriptor, Flag, Opcode } from './support/descriptor.ts';
import { BASE, Offset, PAGE, REGISTER_REGION, TestDevice, waitFor } from './support/device.ts';
import { type ErrorFields, ErrorModel } from './reference/event-log.ts';

const LOG_PAGE = 4;
/** As many as the largest log of these tests takes, and one that it does not. */
const LOG_PAGES = 10;
const PAGES = 32;
const NOWHERE = BigInt(BASE + 64 * PAGE);
const BAD_HANDLE = 77;
const SIZES = [64, 128, 256] as const;

/** An error, and how a guest causes it. The owner's need no engine. */
interface Case {
  readonly error: ErrorFields;
  readonly cause: (device: TestDevice) => void;
}
const ofDescriptor = (error: ErrorFields, fields: Parameters<typeof descriptor>[0]): Case => ({
  error: { ...error, queue: 0, operation: fields.opcode },
  cause: (device) => {
    device.submit(descriptor(fields));
  },
});
const ofOwner = (error: ErrorFields): Case => ({
  error,
  cause: (device) => {
    device.queues.recordError(error);
  },
});
const recordFault = (interrupt: boolean): Case =>
  ofDescriptor(
    {
      code: 0x1a,
      write: true,
      address: NOWHERE,
      logged: (interrupt ? 3 | (1 << 16) : 0) | (1 << 18),
      record: Uint8Array.of(1),
    },
    { opcode: Opcode.noOp, record: Number(NOWHERE), ...(interrupt ? { interrupt: 3 } : {}) },
  );
const OWNERS = [ofOwner({ code: 0x52 }), ofOwner({ code: 0x53, queue: 0 })] as const;
const CASES: readonly Case[] = [
  ...OWNERS,
  ofDescriptor({ code: 0x10 }, { opcode: 0x3f }),
  ofDescriptor({ code: 0x11, information: 1 }, { opcode: Opcode.noOp, flags: Flag.fence }),
  ofDescriptor({ code: 0x1b }, { opcode: Opcode.noOp, record: BASE + 8 }),
  ofDescriptor(
    { code: 0x19, information: BAD_HANDLE, logged: BAD_HANDLE | (1 << 16) },
    { opcode: Opcode.noOp, interrupt: BAD_HANDLE },
  ),
  recordFault(false),
  recordFault(true),
];

type Action =
  | { readonly kind: 'errors'; readonly errors: readonly number[] }
  | { readonly kind: 'head'; readonly head: number | 'tail' }
  | { readonly kind: 'control'; readonly control: number }
  | { readonly kind: 'acknowledge' }
  | { readonly kind: 'clear'; readonly bits: number }
  | { readonly kind: 'map'; readonly page: number }
  | { readonly kind: 'suspend'; readonly errors: number; readonly move: boolean }
  | { readonly kind: 'close'; readonly abort: boolean }
  | { readonly kind: 'reset' }
  | { readonly kind: 'open'; readonly size: number; readonly entries: number; readonly page: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('errors' as const),
      errors: fc.array(fc.integer({ min: 0, max: CASES.length - 1 }), { minLength: 1, maxLength: 30 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('head' as const),
      head: fc.oneof(
        fc.constant('tail' as const),
        fc.integer({ min: 0, max: 80 }),
        fc.integer({ min: 0, max: 0xffff }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('control' as const), control: fc.constantFrom(0, 1, 4, 5) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'acknowledge' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('clear' as const), bits: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('map' as const), page: fc.nat({ max: LOG_PAGES - 1 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('suspend' as const), errors: fc.nat({ max: 20 }), move: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), abort: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reset' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      size: fc.constantFrom(...SIZES),
      entries: fc.oneof(fc.constant(64), fc.integer({ min: 64, max: 140 }), fc.constant(0xffff)),
      page: fc.constantFrom(0, 0, 0, 1, 28),
    }),
  },
);

/** A device, what it should say, and a guest that acts on both. */
class Both implements Disposable {
  device = new TestDevice({ pages: PAGES, maps: [{ start: 0, size: LOG_PAGE * PAGE, read: true, write: true }] });
  readonly #gone: TestDevice[] = [];
  readonly #mapped = Array.from({ length: LOG_PAGES }, () => true);
  readonly #expected = new Uint8Array(PAGES * PAGE);
  readonly #model = new ErrorModel((address, bytes) => {
    const at = Number(address - BigInt(BASE));
    const page = Math.floor(at / PAGE) - LOG_PAGE;
    if (this.#mapped[page] !== true) return false;
    this.#expected.set(bytes, at);
    return true;
  });
  #config: EventLogConfig | undefined;
  #earlier = 0;

  constructor() {
    for (const page of this.#mapped.keys()) this.#map((LOG_PAGE + page) * PAGE, PAGE);
    this.device.enable(0);
  }

  /** Guest memory is that of the first device, in all of them. */
  get #first(): TestDevice {
    return this.#gone[0] ?? this.device;
  }

  #map(start: number, size: number): void {
    const errno = this.device.core.dmaMap(BigInt(BASE + start), BigInt(size), 3, this.#first.file.fd, BigInt(start));
    expect(errno).toBe(0);
  }

  /** Waits until everything has ended, as a driver does: by a command. */
  #drain(eventLog: 'drain' | 'close' = 'drain', abort = false): void {
    const { queues } = this.device;
    const effects = {
      registers: [{ offset: Offset.commandStatus, operation: 'store', value: 1 }],
      vectors: [],
    } as const;
    Atomics.store(this.device.words, Offset.commandStatus / 4, 0);
    queues.command({ queues: [0], stopAccepting: false, abort, eventLog, effects });
    waitFor('the command', () => this.device.word(Offset.commandStatus) === 1);
  }

  #write(offset: number, ...bytes: readonly number[]): void {
    this.device.core.write(REGISTER_REGION, offset, Uint8Array.from(bytes));
  }

  async act(action: Action): Promise<void> {
    const model = this.#model;
    switch (action.kind) {
      case 'errors':
        for (const index of action.errors) {
          CASES[index]?.cause(this.device);
          // The owner's would overtake those of engines.
          this.#drain();
          model.error(CASES[index]?.error ?? { code: 0 });
        }
        break;
      case 'head':
        model.head = action.head === 'tail' ? model.tail : action.head;
        this.#write(Offset.eventLogStatus, model.head & 0xff, model.head >> 8);
        break;
      case 'control':
        model.control = action.control;
        this.#write(Offset.generalControl, action.control);
        break;
      case 'acknowledge':
        model.pending = false;
        model.cause = 0;
        this.#write(Offset.eventLogStatus + 7, 0x40);
        this.#write(Offset.cause, 0xff, 0xff, 0xff, 0xff);
        break;
      case 'clear':
        model.softwareError[0] &= ~BigInt(action.bits);
        this.#write(Offset.error, action.bits);
        break;
      case 'map': {
        const mapped = !(this.#mapped[action.page] ?? false);
        this.#mapped[action.page] = mapped;
        const start = (LOG_PAGE + action.page) * PAGE;
        if (mapped) this.#map(start, PAGE);
        else this.device.unmap(start, PAGE);
        break;
      }
      case 'suspend':
        await this.#suspend(action.errors, action.move);
        break;
      case 'close':
        this.#drain('close', action.abort);
        this.#config = model.log = undefined;
        break;
      case 'reset':
        this.device.queues.reset();
        this.device.enable(0);
        this.#config = model.log = undefined;
        break;
      case 'open': {
        if (this.#config !== undefined) break;
        const address = BigInt(BASE + (LOG_PAGE + action.page) * PAGE);
        const entrySize = SIZES.find((size) => size === action.size) ?? 64;
        this.#config = { group: this.device.group, address, entries: action.entries, entrySize };
        this.device.words.fill(0, Offset.eventLogStatus / 4, Offset.eventLogStatus / 4 + 2);
        this.device.queues.openEventLog(this.#config);
        model.open(this.#config);
        break;
      }
    }
    this.#compare();
  }

  /** Errors meanwhile wait; in the next device if it moves. */
  async #suspend(errors: number, move: boolean): Promise<void> {
    const old = this.device;
    await old.queues.suspend();
    const untold = old.words.slice();
    for (let index = 0; index < errors; index++) {
      const { cause, error } = OWNERS[index % 2 === 0 ? 0 : 1];
      cause(old);
      this.#model.error(error);
    }
    // Nothing of the log moves before it goes on.
    const log = Offset.eventLogStatus / 4;
    expect(old.words.subarray(log, log + 2)).toEqual(untold.subarray(log, log + 2));
    if (!move) {
      old.queues.resume();
      this.#drain();
      return;
    }
    const state = old.queues.state();
    const next = new TestDevice({ pages: 1, maps: [] });
    this.#gone.push(old);
    this.device = next;
    next.words.set(old.words);
    this.#map(0, LOG_PAGE * PAGE);
    for (const [page, mapped] of this.#mapped.entries()) if (mapped) this.#map((LOG_PAGE + page) * PAGE, PAGE);
    await next.queues.suspend();
    this.#config &&= { ...this.#config, group: next.group };
    next.queues.restore(state, [next.configuration()], undefined, this.#config);
    expect(next.queues.state()).toEqual(state);
    this.#earlier += old.raised(0);
    old.queues.close();
    next.queues.resume();
    this.#drain();
  }

  #compare(): void {
    const { device } = this;
    const model = this.#model;
    const raised = device.raised(0);
    this.#earlier += raised;
    const status = BigInt(device.word(Offset.eventLogStatus)) | (BigInt(device.word(Offset.eventLogStatus + 4)) << 32n);
    expect({
      softwareError: device.softwareError(),
      cause: device.word(Offset.cause),
      interrupts: this.#earlier,
      status,
      log: device.queues.eventLogStatistics(),
    }).toEqual({
      softwareError: model.softwareError,
      cause: model.cause,
      interrupts: model.interrupts,
      status: model.status,
      log: { written: model.written, lost: model.lost },
    });
    const start = LOG_PAGE * PAGE;
    expect(Buffer.compare(this.#first.memory.subarray(start), this.#expected.subarray(start))).toBe(0);
  }

  [Symbol.dispose](): void {
    for (const device of [...this.#gone, this.device]) device[Symbol.dispose]();
  }
}

describe('errors', () => {
  it('go where the model says, whatever the guest does to the log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 40 }), async (actions) => {
        const both = new Both();
        try {
          await both.act({ kind: 'open', size: 64, entries: 64, page: 0 });
          await both.act({ kind: 'control', control: 5 });
          for (const one of actions) await both.act(one);
        } finally {
          both[Symbol.dispose]();
        }
      }),
      { numRuns: 120 },
    );
  });
});

describe('openEventLog', () => {
  it('refuses what no log can be, and a second one', () => {
    using device = new TestDevice();
    const good: EventLogConfig = { group: device.group, address: BigInt(BASE), entries: 64, entrySize: 64 };
    const refuse = (changes: Partial<Record<keyof EventLogConfig, unknown>>, message: string): void => {
      expect(() => {
        device.queues.openEventLog({ ...good, ...changes } as EventLogConfig);
      }).toThrow(message);
    };
    refuse({ address: BigInt(BASE) + 64n }, 'expected 64 bits, a multiple of 4096');
    refuse({ address: 1n << 64n }, 'expected 64 bits');
    refuse({ entries: 63 }, 'entries is 63; expected an integer from 64 to 65535');
    refuse({ entries: 0x1_0000 }, 'entries is 65536');
    refuse({ entrySize: 96 }, 'entrySize is 96; expected 64, 128 or 256');
    device.queues.openEventLog(good);
    refuse({}, 'the event log is open');
    device.queues.reset();
    device.queues.openEventLog(good);
  });

  it('takes a log at the end of all addresses: what would be beyond is lost', () => {
    using device = new TestDevice();
    const address = (1n << 64n) - BigInt(PAGE);
    device.words[Offset.eventLogStatus / 4 + 1] = 32;
    device.queues.openEventLog({ group: device.group, address, entries: 64, entrySize: 256 });
    device.queues.recordError({ code: 0x52 });
    waitFor('the loss', () => (device.word(Offset.error) & 1) !== 0);
    expect(device.softwareError()[0]).toBe(0x5421n);
    expect(device.queues.eventLogStatistics()).toEqual({ written: 0, lost: 1 });
  });
});
