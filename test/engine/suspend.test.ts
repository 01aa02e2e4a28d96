import { afterEach, describe, expect, it } from 'vitest';

import type { WorkQueueConfig } from '../../src/engine/index.ts';
import { descriptor, Opcode } from './support/descriptor.ts';
import { BASE, Offset, PAGE, TestDevice, type TestDeviceOptions, waitFor } from './support/device.ts';

const devices: TestDevice[] = [];
afterEach(() => {
  for (const device of devices.splice(0)) device[Symbol.dispose]();
});

const PAGES = 8192;
/** Copies of many chunks, and as many as take longer than the tests need to look. */
const SIZE = 24 << 20;
const COPIES = 40;
const SHIFT = 1000;
const SOURCE = 16 * PAGE;
const RECORD = PAGE;

function testDevice(options: TestDeviceOptions = {}): TestDevice {
  const device = new TestDevice({ pages: PAGES, queues: 2, ...options });
  devices.push(device);
  return device;
}

/** A device that is in the middle of copies onto themselves, further up, with one more descriptor behind them. */
function busy(): { readonly device: TestDevice; readonly expected: Uint8Array } {
  const device = testDevice();
  device.enable(0);
  device.enable(1);
  for (let at = 0; at < SIZE; at += 4) {
    new DataView(device.memory.buffer).setUint32(SOURCE + at, Math.imul(at, 2654435761), true);
  }
  const expected = device.memory.slice(SOURCE, SOURCE + SIZE + SHIFT);
  for (let copy = 0; copy < COPIES; copy++) expected.copyWithin(SHIFT, 0, SIZE);
  const common = { interrupt: 1 };
  const move = {
    opcode: Opcode.memoryMove,
    first: BASE + SOURCE,
    second: BASE + SOURCE + SHIFT,
    size: SIZE,
    record: BASE + RECORD,
  };
  for (let copy = 0; copy < COPIES; copy++) device.submit(descriptor({ ...move, ...common }));
  device.submit(descriptor({ opcode: Opcode.noOp, record: BASE + RECORD + 32, ...common }));
  waitFor('the dispatch', () => device.queues.inFlight(0) === 1);
  return { device, expected };
}

/** Suspends it in the middle of a copy: of 384 chunks one is the last of its copy, and behind that nothing is in flight. */
async function suspendInside(device: TestDevice): Promise<void> {
  for (;;) {
    await device.queues.suspend();
    const { inFlight, waiting } = device.queues.statistics(0);
    if (inFlight === 1) return;
    expect(waiting).toBeGreaterThan(0);
    device.queues.resume();
    waitFor('the next dispatch', () => device.queues.inFlight(0) === 1);
  }
}

/** Another device with the same guest memory and registers, suspended. */
async function successor(device: TestDevice): Promise<TestDevice> {
  const next = testDevice({ maps: [] });
  next.words.set(device.words);
  expect(next.core.dmaMap(BigInt(BASE), BigInt(PAGES * PAGE), 3, device.file.fd, 0n)).toBe(0);
  await next.queues.suspend();
  return next;
}

function configOf(device: TestDevice, changes: Partial<WorkQueueConfig> = {}): WorkQueueConfig {
  return device.configuration(changes);
}

describe('suspend', () => {
  it('stops a descriptor at its chunk and goes on there, in this device', async () => {
    const { device, expected } = busy();
    await suspendInside(device);
    const before = device.memory.slice(SOURCE, SOURCE + SIZE + SHIFT);
    const { completed, waiting, inFlight } = device.queues.statistics(0);
    expect([completed + waiting + inFlight, inFlight]).toEqual([COPIES + 1, 1]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(Buffer.compare(before, device.memory.subarray(SOURCE, SOURCE + SIZE + SHIFT))).toBe(0);
    expect(device.queues.statistics(0)).toMatchObject({ completed, waiting, inFlight });
    expect([device.word(Offset.status) & 0xffff, device.raised(1)]).toEqual([waiting, completed]);
    device.queues.resume();
    waitFor('the copy', () => device.queues.statistics(0).completed === COPIES + 1);
    expect(Buffer.compare(expected, device.memory.subarray(SOURCE, SOURCE + SIZE + SHIFT))).toBe(0);
    expect([device.record(RECORD).status, device.record(RECORD + 32).status]).toEqual([1, 1]);
    expect(device.raised(1)).toBe(COPIES + 1 - completed);
  });

  it('and in another device with the same memory, with halves of descriptors and counters', async () => {
    const { device, expected } = busy();
    const late = descriptor({
      opcode: Opcode.noOp,
      record: BASE + RECORD + 64,
      interrupt: 2,
    });
    device.core.write(2, 4 * PAGE, late.subarray(0, 24));
    await suspendInside(device);
    const state = device.queues.state();
    const { submitted, completed, waiting, inFlight } = device.queues.statistics(0);
    const next = await successor(device);
    device.queues.close();
    next.queues.restore(state, [configOf(next), configOf(next)]);
    expect(next.queues.statistics(0)).toMatchObject({ submitted, completed, waiting, inFlight });
    expect([submitted, inFlight, next.word(Offset.status) & 0xffff]).toEqual([COPIES + 1, 1, waiting]);
    next.core.write(2, 4 * PAGE + 24, late.subarray(24));
    expect(next.queues.occupancy(1)).toBe(1);
    next.queues.resume();
    waitFor('the copy', () => next.queues.statistics(0).completed === COPIES + 1);
    waitFor('the other queue', () => next.queues.statistics(1).completed === 1);
    expect(Buffer.compare(expected, device.memory.subarray(SOURCE, SOURCE + SIZE + SHIFT))).toBe(0);
    expect([next.raised(1), next.raised(2), device.raised(1)]).toEqual([COPIES + 1 - completed, 1, completed]);
    expect([0, 32, 64].map((at) => device.record(RECORD + at).status)).toEqual([1, 1, 1]);
  });

  it('keeps a command waiting', async () => {
    const { device } = busy();
    const effects = { registers: [{ offset: Offset.cause, operation: 'or', value: 2 }], vectors: [0] } as const;
    expect(device.queues.command({ queues: [0], stopAccepting: true, abort: false, effects })).toBe(false);
    await device.queues.suspend();
    const next = await successor(device);
    const state = device.queues.state();
    const configurations = [configOf(next), configOf(next)];
    expect(() => {
      next.queues.restore(state, configurations);
    }).toThrow('a command waits there, and not in the registers');
    next.queues.restore(state, configurations, effects);
    device.queues.close();
    expect([next.word(Offset.cause), next.raised(0)]).toEqual([0, 0]);
    next.queues.resume();
    waitFor('the command', () => next.word(Offset.cause) === 2);
    waitFor('its interrupt', () => next.raised(0) === 1);
    expect(next.queues.statistics(0).completed).toBe(COPIES + 1);
  });

  it('cancels what a client does not answer, and does not wait for ever', async () => {
    const device = testDevice({ maps: [] });
    // Memory without a file, and nobody behind it.
    device.enable(0);
    device.submit(descriptor({ opcode: Opcode.noOp, record: BASE }));
    await device.queues.suspend({ answersWithin: 0 });
    device.queues.resume();
  });
});

describe('refusals', () => {
  it('say what is wrong, and change nothing', async () => {
    const { device } = busy();
    expect(() => device.queues.state()).toThrow('the device is not suspended');
    await device.queues.suspend();
    const state = device.queues.state();
    const next = await successor(device);
    const refuse = (bytes: Uint8Array, queues: readonly (WorkQueueConfig | undefined)[], message: string): void => {
      const before = next.queues.state();
      expect(() => {
        next.queues.restore(bytes, queues);
      }).toThrow(message);
      expect(next.queues.state()).toEqual(before);
    };
    const good = configOf(next);
    refuse(new Uint8Array(), [good, good], 'no such state');
    refuse(state.subarray(0, -1), [good, good], 'malformed');
    refuse(
      Uint8Array.of(...state.subarray(0, 4), 9, 0, 0, 0, ...state.subarray(8)),
      [good, good],
      'version 9; expected 2 to 3',
    );
    refuse(state, [good, undefined], 'work queue 1 is enabled there, and not in the registers');
    refuse(state, [configOf(next, { size: 32 }), good], 'work queue 0 is configured otherwise');
    refuse(state, [good], 'number of queues is 1');
    refuse(state, [configOf(next, { priority: 16 }), good], 'priority is 16');
    next.queues.restore(state, [good, good]);
    await expect(next.queues.suspend({ answersWithin: -1 })).rejects.toThrow('answersWithin is -1');
  });
});
