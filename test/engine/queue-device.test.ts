import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { RegisterEffect } from '../../src/emulation/index.ts';
import { Engine, Group, QueueDevice, type QueueDeviceOptions, supportedOperations } from '../../src/engine/index.ts';
import { createDeviceCore } from '../../src/native/binding.ts';
import { deviceHandle } from '../../src/native/device-handle.ts';
import { descriptor, Flag, Opcode, Status } from './support/descriptor.ts';
import {
  BASE,
  Offset,
  PAGE,
  PORTAL_REGION,
  PORTAL_STRIDE,
  REGISTER_REGION,
  TestDevice,
  waitFor,
} from './support/device.ts';

const ACTIVE = 0x8000_0000;
const done: readonly RegisterEffect[] = [
  { offset: Offset.status, operation: 'and', value: 0x3fff_ffff },
  { offset: Offset.commandStatus, operation: 'store', value: 0 },
  { offset: Offset.cause, operation: 'or', value: 2 },
];
const effects = { registers: done, vectors: [0] };
const noEffects = { registers: [], vectors: [] };

let device: TestDevice;
beforeEach(() => {
  device = new TestDevice({ queues: 2, pages: 8192 });
});
afterEach(() => {
  device[Symbol.dispose]();
});

/** A copy that takes longer than the tests need to look: 2 × 12 MiB of chunks. */
const LONG = { opcode: Opcode.memoryMove, first: BASE + 16 * PAGE, second: BASE + 4096 * PAGE, size: 12 << 20 };

describe('construction', () => {
  const options = (changes: Partial<QueueDeviceOptions> = {}): QueueDeviceOptions => ({
    portalRegion: PORTAL_REGION,
    registerRegion: REGISTER_REGION,
    queues: 2,
    vectors: 9,
    registers: {
      softwareError: Offset.error,
      interruptCause: Offset.cause,
      generalControl: Offset.generalControl,
      workQueueStatus: { offset: Offset.status, stride: 32 },
      msixPermissions: { offset: Offset.permission, stride: 8 },
    },
    capabilities: { overlappingMove: true, maxTransferShift: 31, maxBatchShift: 10, operations: supportedOperations() },
    ...changes,
  });
  const { capabilities, registers } = options();

  it.each<[string, Partial<QueueDeviceOptions>]>([
    ['queues is 0; expected an integer from 1 to 256', { queues: 0 }],
    ['queues is 257; expected an integer from 1 to 256', { queues: 257 }],
    ['portalRegion is 9; expected an integer from 0 to 8', { portalRegion: 9 }],
    ['portalRegion 2 has 32768 bytes; 3 queues need 49152', { queues: 3 }],
    ['registerRegion: expected a region of registers', { registerRegion: PORTAL_REGION }],
    ['vectors is 10: expected at most the device', { vectors: 10 }],
    [
      'registers.softwareError at offset 196: expected a multiple of 8',
      { registers: { ...registers, softwareError: 0xc4 } },
    ],
    [
      'registers.workQueueStatus at offset',
      { registers: { ...registers, workQueueStatus: { offset: 24, stride: 1 << 20 } } },
    ],
    [
      'registers.interruptCause at offset 176: expected a register of 32 bits or more that is declared shared',
      { registers: { ...registers, interruptCause: Offset.own } },
    ],
    ['registers.generalControl at offset 16: expected', { registers: { ...registers, generalControl: 0x10 } }],
    [
      'registers.softwareError at offset 136: expected a register of 64 bits or more',
      { registers: { ...registers, softwareError: Offset.generalControl } },
    ],
    [
      'registers.msixPermissions at offset 592: expected a register of 32 bits',
      { registers: { ...registers, msixPermissions: { offset: Offset.permission, stride: 16 } } },
    ],
    ['registers.interruptCause is -4; expected', { registers: { ...registers, interruptCause: -4 } }],
    [
      'capabilities.maxBatchShift is 16; expected an integer from 0 to 15',
      { capabilities: { ...capabilities, maxBatchShift: 16 } },
    ],
    [
      'capabilities.operations has 31 bytes; expected 32',
      { capabilities: { ...capabilities, operations: new Uint8Array(31) } },
    ],
    [
      'capabilities.operations has operation 0x0f, which the engine has not',
      { capabilities: { ...capabilities, operations: Uint8Array.of(0, 0x80, ...new Uint8Array(30)) } },
    ],
  ])('refuses: %s', (message, changes) => {
    expect(() => new QueueDevice(device.handle, options(changes))).toThrow(message);
  });

  it('refuses what is no device, and a closed one', () => {
    expect(() => new QueueDevice({} as never, options())).toThrow(TypeError);
    const core = createDeviceCore();
    core.close();
    expect(() => new QueueDevice(deviceHandle(core), options())).toThrow('closed');
  });
});

describe('enable', () => {
  it.each([
    ['queue is 2; expected an integer from 0 to 1', 2, {}],
    ['size is 0; expected an integer from 1 to 65535', 0, { size: 0 }],
    ['threshold is 9; expected an integer from 0 to 8', 0, { size: 8, threshold: 9 }],
    ['priority is 16; expected an integer from 1 to 15', 0, { priority: 16 }],
    ['maxBatchShift is 11; expected an integer from 0 to 10', 0, { maxBatchShift: 11 }],
    ['maxTransferShift is 0.5; expected', 0, { maxTransferShift: 0.5 }],
    ['pasid is 1048576; expected', 0, { pasid: 1 << 20 }],
    ['operations has operation 0x28, which the device has not', 0, { operations: new Uint8Array(32).fill(1, 5, 6) }],
  ])('refuses: %s', (message, queue, config) => {
    expect(() => {
      device.enable(queue, config);
    }).toThrow(message);
    expect(device.queues.statistics(0)).toMatchObject({ submitted: 0 });
  });

  it('refuses a closed group, and a queue that is enabled', () => {
    const group = new Group();
    group.close();
    expect(() => {
      device.enable(0, { group });
    }).toThrow('the group is closed');
    device.enable(0);
    expect(() => {
      device.enable(0);
    }).toThrow('work queue 0 is enabled');
    device.enable(1);
  });

  it('limits operations and sizes to the queue’s', () => {
    const operations = supportedOperations();
    operations[0] = 0b1001;
    device.enable(0, { operations, maxTransferShift: 12 });
    expect(device.execute({ opcode: Opcode.fill, second: BASE, size: 1 }).status).toBe(Status.unsupportedOperation);
    const move = { opcode: Opcode.memoryMove, first: BASE + PAGE, second: BASE + 2 * PAGE };
    expect(device.execute({ ...move, size: 4096 }).status).toBe(Status.success);
    expect(device.execute({ ...move, size: 4097 }).status).toBe(Status.transferSize);
  });

  it('lets user descriptors interrupt only with user interrupts enabled', () => {
    // MSIXPERM entry 1: PASID 5.
    device.core.write(REGISTER_REGION, Offset.permission + 8, Uint8Array.of(8, 0x50, 0, 0));
    const interrupting = { opcode: Opcode.noOp, interrupt: 1 };
    const statusWith = (config: Parameters<TestDevice['enable']>[1]): number => {
      device.queues.reset();
      device.enable(0, config);
      return device.execute(interrupting).status;
    };
    expect(statusWith({ pasid: 5, userInterrupts: true })).toBe(Status.success);
    expect(statusWith({ pasid: 5, userInterrupts: false })).toBe(Status.invalidFlags);
    expect(device.record(0).extra).toBe(Flag.requestInterrupt);
    expect(statusWith({ pasid: 5, userInterrupts: false, privileged: true })).toBe(Status.success);
    expect(statusWith({ pasid: 6, userInterrupts: true })).toBe(Status.interruptHandle);
    expect(statusWith({})).toBe(Status.interruptHandle);
    expect(device.raised(1)).toBe(2);
  });
});

describe('capabilities', () => {
  it.each([
    ['cache control', { cacheControl: false }, Flag.cacheControl, false],
    ['cache control', {}, Flag.cacheControl, true],
    ['readback', {}, 1 << 14, false],
    ['readback', { destinationReadback: true }, 1 << 14, true],
  ])('%s %o', (_, capabilities, flag, allowed) => {
    using own = new TestDevice({ capabilities });
    own.enable();
    const record = own.execute({ opcode: Opcode.fill, flags: flag, second: BASE + PAGE, size: 8 });
    expect(record).toMatchObject(allowed ? { status: Status.success } : { status: Status.invalidFlags, extra: flag });
  });

  it('fault information names operand and direction', () => {
    using own = new TestDevice({ capabilities: { faultInfo: true } });
    own.enable();
    const missing = BASE + 64 * PAGE;
    const infoOf = (fields: Parameters<TestDevice['execute']>[0]): number => {
      own.execute(fields);
      return own.memory[2] ?? 0;
    };
    expect(infoOf({ opcode: Opcode.memoryMove, first: missing, second: BASE, size: 8 })).toBe(1 << 1);
    expect(infoOf({ opcode: Opcode.compare, first: BASE, second: missing, size: 8 })).toBe(2 << 1);
    expect(infoOf({ opcode: Opcode.memoryMove, first: BASE, second: missing, size: 8 })).toBe(3 << 1);
    const seed = { opcode: Opcode.crcGeneration, flags: Flag.readSeed, first: BASE, size: 8, seedAddress: missing };
    expect(infoOf(seed)).toBe(2 << 1);
    expect(infoOf({ opcode: Opcode.batch, first: missing, size: 2 })).toBe(1 << 1);
    own.run(descriptor({ opcode: Opcode.fill, second: missing, size: 1 }));
    expect(own.softwareError()[1]).toBe(3n << 61n);
  });

  it('batches of one, and continued batches', () => {
    const batch = { opcode: Opcode.batch, first: BASE + PAGE, size: 1 };
    device.enable();
    expect(device.execute(batch).status).toBe(Status.descriptorCount);
    expect(device.execute({ ...batch, size: 2, flags: 1 << 16 })).toMatchObject({ status: 0x11, extra: 1 << 16 });
    using own = new TestDevice({ capabilities: { batchOfOne: true, batchContinuation: true } });
    own.enable();
    expect(own.execute(batch)).toMatchObject({ status: Status.success, result: 0, completed: 1 });
    expect(own.execute({ ...batch, flags: 1 << 16 })).toMatchObject({ status: Status.batchMemberFailed, result: 1 });
    // A fence of the continuation sees what failed before it.
    own.memory[PAGE + 4] = Flag.fence;
    expect(own.execute({ ...batch, flags: 1 << 16 })).toMatchObject({ status: Status.batchMemberFailed, completed: 0 });
  });
});

describe('command', () => {
  it('with nothing in flight, has its effects at once', () => {
    Atomics.store(device.words, Offset.commandStatus / 4, ACTIVE);
    Atomics.store(device.words, Offset.status / 4, 0x4000_0000);
    expect(device.queues.command({ queues: [0, 1], stopAccepting: true, abort: false, effects })).toBe(true);
    expect(device.word(Offset.commandStatus)).toBe(0);
    expect(device.word(Offset.status)).toBe(0);
    expect(device.word(Offset.cause)).toBe(2);
    expect(device.raised(0)).toBe(1);
  });

  it('with work in flight, ends without JavaScript, in order: registers, then the vector', () => {
    device.enable();
    Atomics.store(device.words, Offset.commandStatus / 4, ACTIVE);
    device.group.setEngines([]);
    for (let i = 0; i < 8; i++) device.submit(descriptor({ ...LONG, record: BASE + i * 32 }));
    expect(device.queues.command({ queues: [0], stopAccepting: false, abort: false, effects })).toBe(false);
    expect(() => device.queues.command({ queues: [1], stopAccepting: false, abort: false, effects })).toThrow(
      'another command is pending',
    );
    // Registers are answered meanwhile.
    expect(device.word(Offset.commandStatus)).toBe(ACTIVE);
    device.group.setEngines(device.engines);
    // No turn of the event loop from here on.
    waitFor('the interrupt', () => device.raised(0) === 1);
    expect(device.word(Offset.commandStatus)).toBe(0);
    for (let i = 0; i < 8; i++) expect(device.record(i * 32).status).toBe(Status.success);
    expect(device.queues.command({ queues: [0], stopAccepting: true, abort: false, effects: noEffects })).toBe(true);
    device.enable();
  });

  it('abort abandons what waits at once, and what is in flight at its chunk', () => {
    device.enable();
    for (let i = 0; i < 60; i++) device.submit(descriptor({ ...LONG, record: BASE + i * 32, interrupt: 1 }));
    waitFor('dispatch', () => device.queues.inFlight(0) === 1);
    // The chunk may be over before this looks.
    device.queues.command({ queues: [0], stopAccepting: true, abort: true, effects });
    expect(device.queues.occupancy(0)).toBe(0);
    expect(device.word(Offset.status) & 0xffff).toBe(0);
    waitFor('the interrupt', () => device.raised(0) === 1);
    const { submitted, completed, abandoned, inFlight } = device.queues.statistics(0);
    expect({ submitted, ended: completed + abandoned, inFlight }).toEqual({ submitted: 60, ended: 60, inFlight: 0 });
    expect(abandoned).toBeGreaterThan(0);
    const records = Array.from({ length: 60 }, (_, i) => device.record(i * 32).status);
    expect(records.filter((status) => status !== 0)).toHaveLength(completed);
    expect(device.raised(1)).toBe(completed);
    // Accepts nothing, until it is enabled again.
    device.submit(descriptor({ opcode: Opcode.noOp }));
    expect(device.queues.statistics(0)).toMatchObject({ submitted: 60, dropped: 1 });
  });

  it.each([
    ['queue is 2', { queues: [2], effects: noEffects }],
    [
      'effect at offset',
      { queues: [], effects: { registers: [{ offset: 1 << 20, operation: 'or', value: 0 }], vectors: [] } },
    ],
    [
      'effect at offset 2: expected an aligned word',
      { queues: [], effects: { registers: [{ offset: 2, operation: 'or', value: 0 }], vectors: [] } },
    ],
    [
      'effect at offset 16: expected a register that is declared shared, or a word of locks',
      { queues: [], effects: { registers: [{ offset: 0x10, operation: 'or', value: 0 }], vectors: [] } },
    ],
    [
      'effect value is 4294967296',
      { queues: [], effects: { registers: [{ offset: 0, operation: 'or', value: 2 ** 32 }], vectors: [] } },
    ],
    ['vector 9: the device has 9', { queues: [], effects: { registers: [], vectors: [9] } }],
    ['pasid is 1048576', { queues: [], effects: noEffects, pasid: 1 << 20 }],
    ['pasid: queues cannot stop accepting for one PASID', { queues: [0], effects: noEffects, pasid: 0 }],
  ] as const)('refuses: %s', (message, fields) => {
    device.enable();
    expect(() => device.queues.command({ stopAccepting: true, abort: true, ...fields })).toThrow(message);
    expect(device.execute({ opcode: Opcode.noOp }).status).toBe(Status.success);
  });
});

describe('reset', () => {
  it('returns at once, drops a pending command, and lets queues be enabled again', () => {
    device.enable(0);
    device.enable(1);
    device.group.setEngines([]);
    for (let i = 0; i < 100; i++) device.submit(descriptor({ ...LONG, record: BASE + i * 32, interrupt: 1 }), i % 2);
    expect(device.queues.command({ queues: [0], stopAccepting: true, abort: false, effects })).toBe(false);
    device.group.setEngines(device.engines);
    device.queues.reset();
    const records = device.memory.slice(0, 100 * 32);
    const interrupts = device.raised(1);
    expect(device.word(Offset.status) & 0xffff).toBe(0);
    device.enable(0);
    expect(device.queues.command({ queues: [0], stopAccepting: false, abort: false, effects })).toBe(true);
    expect(device.raised(0)).toBe(1);
    device.submit(descriptor({ opcode: Opcode.noOp, record: BASE + PAGE }));
    waitFor('the new descriptor', () => device.record(PAGE).status === Status.success);
    waitFor('the old ones', () => {
      const { submitted, completed, abandoned } = device.queues.statistics(1);
      return submitted === completed + abandoned;
    });
    // Nothing of the old ones since.
    expect(device.memory.slice(0, 100 * 32)).toEqual(records);
    expect(device.raised(1)).toBe(0);
    expect(interrupts).toBe(records.filter((byte, i) => i % 32 === 0 && byte !== 0).length);
    expect(device.raised(0)).toBe(0);
  });
});

describe('recordError', () => {
  it('sets SWERROR, and the cause and vector 0 only if GENCTRL wants them', () => {
    device.queues.recordError({ code: 0x52 });
    expect(device.softwareError()).toEqual([0x5201n, 0n, 0n, 0n]);
    expect(device.word(Offset.cause)).toBe(0);
    device.queues.recordError({ code: 0x51 });
    expect(device.softwareError()[0]).toBe(0x5203n);
    device.clearSoftwareError();
    device.core.write(REGISTER_REGION, Offset.generalControl, Uint8Array.of(1, 0, 0, 0));
    device.queues.recordError({ code: 0x53, queue: 1 });
    expect(device.softwareError()[0]).toBe(0x1_5309n);
    expect(device.word(Offset.cause)).toBe(1);
    expect(device.raised(0)).toBe(1);
    expect(() => {
      device.queues.recordError({ code: 0 });
    }).toThrow('code is 0; expected an integer from 1 to 255');
  });
});

describe('engines', () => {
  it('serve every queue of their group, also of other devices', () => {
    using other = new TestDevice();
    other.group.setEngines([]);
    device.enable(0);
    other.queues.enable(0, { ...CONFIG, group: device.group });
    expect(other.execute({ opcode: Opcode.noOp }).status).toBe(Status.success);
    expect(device.execute({ opcode: Opcode.noOp }).status).toBe(Status.success);
    other.queues.reset();
  });

  it('belong to the group of the newest assignment', () => {
    using engine = new Engine({ name: 'wanderer' });
    using group = new Group();
    device.group.setEngines([engine]);
    group.setEngines([engine]);
    device.enable(0);
    device.submit(descriptor({ opcode: Opcode.noOp, record: BASE }));
    expect(device.queues.occupancy(0)).toBe(1);
    device.group.setEngines([engine, engine]);
    waitFor('the record', () => device.record(0).status === Status.success);
    device.group.setEngines([]);
    expect(device.group.engines).toEqual([]);
  });

  it('that are closed leave what they have and what waits to others, and are refused', () => {
    device.group.setEngines([]);
    device.enable(0);
    let submitted = 0;
    const submitFour = (): void => {
      for (const end = submitted + 4; submitted < end; submitted++) {
        device.submit(descriptor({ ...LONG, record: BASE + submitted * 32 }));
      }
    };
    submitFour();
    const engine = new Engine();
    device.group.setEngines([engine]);
    // On a busy machine all may have been done before this thread looks: then there is more.
    waitFor('an engine in the middle of a descriptor', () => {
      if (device.queues.inFlight(0) === 1) return true;
      if (device.queues.statistics(0).completed === submitted) submitFour();
      return false;
    });
    engine.close();
    engine.close();
    expect(() => {
      device.group.setEngines([engine]);
    }).toThrow('the engine is closed');
    const { inFlight, waiting, completed } = device.queues.statistics(0);
    expect(inFlight + waiting + completed).toBe(submitted);
    expect(device.queues.statistics(0)).toMatchObject({ inFlight, waiting, completed });
    device.group.setEngines(device.engines);
    waitFor('all of them', () => device.queues.statistics(0).completed === submitted);
    expect(device.queues.statistics(0).abandoned).toBe(0);
    for (let i = 0; i < submitted; i++) expect(device.record(i * 32).status).toBe(Status.success);
  });

  it('need no turn of the event loop', () => {
    device.enable(0);
    for (let i = 0; i < 50; i++)
      device.submit(descriptor({ opcode: Opcode.noOp, record: BASE + i * 32, interrupt: 1 }));
    waitFor('all records', () => device.queues.statistics(0).completed === 50);
    expect(device.raised(1)).toBe(50);
  });
});

const CONFIG = {
  size: 16,
  mode: 'dedicated',
  threshold: 0,
  priority: 1,
  maxTransferShift: 31,
  maxBatchShift: 10,
} as const;

describe('portals', () => {
  const noOp = descriptor({ opcode: Opcode.noOp, record: BASE });
  const submitted = (): number => device.queues.statistics(0).submitted;

  it.each([1, 2, 4, 8, 16, 32])('take descriptors in pieces of %i bytes, in any slot', (width) => {
    device.enable(0);
    for (const slot of [0, 1, 63, 64, 127]) {
      for (let at = 0; at < 64; at += width) {
        device.core.write(PORTAL_REGION, slot * 64 + at, noOp.subarray(at, at + width));
      }
    }
    expect(submitted()).toBe(5);
  });

  it('read all ones, and drop what is for nobody', () => {
    device.enable(0);
    const into = new Uint8Array(100);
    expect(device.core.read(PORTAL_REGION, 4000, into)).toBe(0);
    expect(into.every((byte) => byte === 0xff)).toBe(true);
    for (let page = 2; page < 8; page++) expect(device.core.write(PORTAL_REGION, page * PAGE, noOp)).toBe(0);
    expect(submitted()).toBe(0);
    expect(device.queues.statistics(1)).toMatchObject({ submitted: 0, dropped: 2 });
    expect(device.softwareError()[0]).toBe(0n);
  });

  it('report a full queue', () => {
    device.group.setEngines([]);
    device.enable(0, { size: 2 });
    device.core.write(REGISTER_REGION, Offset.generalControl, Uint8Array.of(1, 0, 0, 0));
    for (let i = 0; i < 4; i++) device.submit(noOp);
    expect(device.word(Offset.status) & 0xffff).toBe(2);
    expect(device.queues.statistics(0)).toMatchObject({ submitted: 2, full: 2, waiting: 2 });
    expect(device.softwareError()[0]).toBe(0x530bn);
    expect(device.raised(0)).toBe(1);
  });

  it('of a shared queue drop posted writes', () => {
    device.enable(0, { mode: 'shared' });
    device.submit(noOp);
    expect(device.queues.statistics(0)).toMatchObject({ submitted: 0, dropped: 1 });
  });

  it('are gone with the queue device', () => {
    device.enable(0);
    device.queues.close();
    device.queues.close();
    expect(device.core.write(PORTAL_REGION, PORTAL_STRIDE, noOp)).toBe(0);
    expect(() => {
      device.queues.reset();
    }).toThrow('closed');
  });
});
