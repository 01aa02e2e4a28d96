import { describe, expect, test } from 'vitest';

import { configured, enabled, queueState, state } from './support/configured.ts';
import { configurable, fixed } from './support/descriptions.ts';
import { FakeDevice } from './support/fake-device.ts';
import {
  ACTIVE,
  Code,
  GENCFG,
  GENCTRL,
  GENSTS,
  grpcfg,
  INTCAUSE,
  msixEntry,
  msixPermission,
  wqcfg,
} from './support/offsets.ts';

describe('every command', () => {
  test.each([
    [0, 1],
    [13, 1],
    [14, 1],
    [15, 1],
    [16, 1],
    [17, 1],
    [31, 1],
  ])('%i gives error %i', (code, error) => {
    expect(configured().command(code)).toBe(error);
  });

  test.each(Object.values(Code))('%i with a reserved bit gives error 4 and does nothing', (code) => {
    const device = new FakeDevice({ ...configurable, interruptHandles: true });
    configured(device);
    device.write32(0xa0, ((code << 20) | (1 << 25)) >>> 0);
    expect(device.read32(0xa8)).toBe(4);
    expect([state(device), device.requests, device.enabled]).toEqual([0, [], []]);
  });

  test.each(Object.values(Code))('%i in Halt gives error 5', (code) => {
    const device = new FakeDevice({ ...configurable, interruptHandles: true });
    configured(device);
    device.command(Code.enableDevice);
    device.commands.halt();
    expect(device.command(code)).toBe(5);
  });

  test.each([
    ['succeeds', Code.drainAll, 0, 0],
    ['fails', Code.disableDevice, 0, 0x31],
    ['is unknown', 30, 0, 1],
  ])('that %s interrupts if it was asked to, after CMDSTATUS and the cause', (_, code, operand, error) => {
    const device = configured();
    expect(device.command(code, operand)).toBe(error);
    expect([device.vectors, device.read32(INTCAUSE)]).toEqual([[], 0]);
    expect(device.command(code, operand, true)).toBe(error);
    expect([device.vectors, device.read32(INTCAUSE)]).toEqual([[0], 2]);
  });

  test('takes effect with the last byte of CMD, whatever the size of the writes', () => {
    for (const sizes of [[4], [2, 2], [1, 1, 1, 1], [2, 1, 1], [1, 1, 2]]) {
      const device = configured();
      const word = new Uint8Array([0, 0, 0x10, 0x80]);
      let at = 0;
      for (const size of sizes) {
        expect(state(device)).toBe(0);
        device.region.write(0xa0 + at, word.subarray(at, at + size));
        at += size;
      }
      expect([state(device), device.vectors]).toEqual([1, [0]]);
    }
    const device = configured();
    device.write64(0xa0, 0xffff_ffff_0010_0000n);
    expect([state(device), device.read32(0xa8)]).toEqual([1, 0]);
  });

  test('is not completed by bytes of an earlier one', () => {
    for (const earlier of [Code.drainAll, 30]) {
      const device = enabled(0);
      device.command(earlier, 0x1234, true);
      device.write32(INTCAUSE, 2);
      const { requests, vectors } = device;
      const before = [requests.length, vectors.length];
      // Code 0, and nobody asks for an interrupt.
      device.region.write(0xa3, new Uint8Array([0]));
      expect([device.read32(0xa8), device.read32(INTCAUSE), requests.length, vectors.length]).toEqual([
        1,
        0,
        ...before,
      ]);
      // The two highest bits of the code, with an operand that is this one's: Abort All is 4.
      device.region.write(0xa0, new Uint8Array([0, 0, 0x40, 0]));
      expect([device.read32(0xa8), requests.length]).toEqual([0, (before[0] ?? 0) + 1]);
    }
  });

  test('while another is active is discarded and recorded', () => {
    const device = enabled(0);
    device.busy.add(0);
    expect(device.command(Code.disableWq, 1)).toBe(ACTIVE);
    expect(device.command(Code.resetDevice, 0, true)).toBe(ACTIVE);
    expect(device.errors).toEqual([{ code: 0x52 }]);
    expect(device.requests).toHaveLength(1);
    device.finishWork();
    expect([device.read32(0xa8), device.vectors, state(device), queueState(device, 0)]).toEqual([0, [], 1, 0]);
  });

  test('CMD reads 0', () => {
    const device = configured();
    device.command(Code.drainAll, 0, true);
    expect(device.read32(0xa0)).toBe(0);
  });
});

describe('commands on several queues', () => {
  test.each([
    ['Disable', Code.disableWq, { stopAccepting: true, abort: false }],
    ['Drain', Code.drainWq, { stopAccepting: false, abort: false }],
    ['Abort', Code.abortWq, { stopAccepting: false, abort: true }],
  ])('%s asks the engines for the queues of the bitmap', (_, code, expected) => {
    const device = enabled(0, 1, 2);
    expect(device.command(code, 0b101)).toBe(0);
    expect(device.requests).toEqual([expect.objectContaining({ queues: [0, 2], ...expected })]);
    const after = code === Code.disableWq ? 0 : 1;
    expect([0, 1, 2].map((queue) => queueState(device, queue))).toEqual([after, 1, after]);
  });

  test.each([Code.disableWq, Code.drainWq, Code.abortWq])('%i: one that is not enabled gives error 0x32', (code) => {
    const device = enabled(0);
    expect(device.command(code, 0b11)).toBe(0x32);
    expect([device.requests, queueState(device, 0)]).toEqual([[], 1]);
  });

  test.each([Code.disableWq, Code.drainWq, Code.abortWq, Code.resetWq])(
    '%i: beyond the queues gives error 2',
    (code) => {
      const device = enabled(0);
      expect(device.command(code, 0b1_0001)).toBe(2);
      expect(device.command(code, 0x1_0001)).toBe(2);
      expect(device.requests).toEqual([]);
    },
  );

  test('the upper operand selects a block of 16 queues', () => {
    const device = new FakeDevice({ ...configurable, queues: 20, entries: 64 });
    for (const queue of [1, 17]) {
      device.write32(wqcfg(queue), 8);
      device.write32(wqcfg(queue) + 8, 0x11);
      device.write32(wqcfg(queue) + 12, 21 | (5 << 5));
    }
    device.write64(grpcfg(0), (1n << 1n) | (1n << 17n));
    device.write64(grpcfg(0) + 32, 1n);
    for (const [code, operand] of [
      [1, 0],
      [6, 1],
      [6, 17],
    ] as const)
      expect(device.command(code, operand)).toBe(0);
    expect(device.command(Code.drainWq, 0x1_0002)).toBe(0);
    expect(device.requests[0]?.queues).toEqual([17]);
    expect(device.command(Code.drainWq, 0x1_0010)).toBe(2);
  });

  test('with work in flight a queue drains, CMDSTATUS is active, and the engines finish it', () => {
    const device = enabled(0, 1);
    device.busy.add(1);
    expect(device.command(Code.disableWq, 0b11, true)).toBe(ACTIVE);
    expect([queueState(device, 0), queueState(device, 1), device.vectors]).toEqual([2, 2, []]);
    device.write32(wqcfg(0) + 8, 0);
    expect(device.read32(wqcfg(0) + 8)).toBe(0xa1);
    device.finishWork();
    expect([device.read32(0xa8), queueState(device, 0), queueState(device, 1)]).toEqual([0, 0, 0]);
    expect([device.vectors, device.read32(INTCAUSE)]).toEqual([[0], 2]);
    device.write32(wqcfg(0) + 8, 0x21);
    expect(device.read32(wqcfg(0) + 8)).toBe(0x21);
    expect(device.command(Code.enableWq, 0)).toBe(0);
  });

  test('Reset clears the configuration of enabled and disabled queues, all but the size', () => {
    const device = enabled(0);
    device.busy.add(0);
    for (const queue of [0, 1]) {
      device.write32(wqcfg(queue) + 4, 7);
      device.write32(wqcfg(queue) + 20, (1 << 16) | 5);
    }
    expect(device.command(Code.resetWq, 0b11)).toBe(ACTIVE);
    expect(device.requests[0]).toMatchObject({ queues: [0], stopAccepting: true, abort: true });
    device.finishWork();
    for (const [queue, size] of [
      [0, 16],
      [1, 8],
    ] as const) {
      const words = Array.from({ length: 8 }, (_, word) => device.read32(wqcfg(queue) + 4 * word));
      expect(words).toEqual([size, 0, 0, 0, 0, 0, 0, 0]);
      expect(device.read64(wqcfg(queue) + 32)).toBe(configurable.operations[0]);
    }
  });
});

describe('commands on the device', () => {
  test('Disable passes through draining and disables the queues', () => {
    const device = enabled(0, 2);
    device.busy.add(2);
    expect(device.command(Code.disableDevice, 0, true)).toBe(ACTIVE);
    expect(device.requests[0]).toMatchObject({ queues: [0, 2], stopAccepting: true, abort: false });
    expect([state(device), queueState(device, 2)]).toEqual([2, 2]);
    device.write32(wqcfg(0), 1);
    device.finishWork();
    expect([state(device), queueState(device, 0), queueState(device, 2), device.vectors]).toEqual([0, 0, 0, [0]]);
    expect(device.read32(wqcfg(0))).toBe(16);
    device.write32(wqcfg(0), 1);
    expect(device.read32(wqcfg(0))).toBe(1);
  });

  test('Disable of a device that is not enabled gives error 0x31', () => {
    expect(configured().command(Code.disableDevice)).toBe(0x31);
  });

  test.each([
    ['Drain all', Code.drainAll, false],
    ['Abort all', Code.abortAll, true],
  ])('%s leaves the queues enabled', (_, code, abort) => {
    const device = enabled(0, 1);
    device.busy.add(0);
    expect(device.command(code)).toBe(ACTIVE);
    expect(device.requests[0]).toMatchObject({ queues: [0, 1], stopAccepting: false, abort });
    device.finishWork();
    expect([device.read32(0xa8), state(device), queueState(device, 0)]).toEqual([0, 1, 1]);
    expect(configured().command(code)).toBe(0);
  });

  test('Reset keeps CMDSTATUS, SWERROR and the MSI-X table, and nothing else of what the guest set', () => {
    const device = enabled(0);
    device.busy.add(0);
    device.region.registers.SWERROR0.valid = true;
    device.region.registers.INTCAUSE.softwareError = true;
    device.write32(GENCTRL, 3);
    device.write32(msixPermission(1), 1 << 2);
    device.write32(msixEntry(1) + 8, 0x4021);
    device.write32(msixEntry(1) + 12, 0);
    expect(device.command(Code.resetDevice, 0, true)).toBe(ACTIVE);
    expect(device.requests[0]).toMatchObject({ queues: [0], stopAccepting: true, abort: true });
    expect(state(device)).toBe(2);
    device.write32(wqcfg(0), 5);
    device.region.registers.INTCAUSE.softwareError = true;
    device.finishWork();
    expect([device.read32(0xa8), state(device), queueState(device, 0), device.vectors]).toEqual([0, 0, 0, [0]]);
    expect(device.read32(INTCAUSE)).toBe(2);
    expect([device.read32(GENCTRL), device.read32(GENCFG), device.read32(msixPermission(1))]).toEqual([0, 96, 0]);
    expect([device.read32(wqcfg(0)), device.read32(wqcfg(0) + 8), device.read64(grpcfg(0))]).toEqual([0, 0, 0n]);
    expect(device.read64(grpcfg(0) + 40)).toBe(96n << 20n);
    expect([device.read32(0xc0) & 1, device.read32(msixEntry(1) + 8), device.read32(msixEntry(1) + 12)]).toEqual([
      1, 0x4021, 0,
    ]);
    device.write32(wqcfg(0), 5);
    expect(device.read32(wqcfg(0))).toBe(5);
  });

  test('Reset of a device that is not enabled clears the configuration inside the write', () => {
    const device = configured();
    expect(device.command(Code.resetDevice)).toBe(0);
    expect([state(device), device.read32(wqcfg(0))]).toEqual([0, 0]);
  });

  test.each([Code.drainPasid, Code.abortPasid])('%i: of all enabled queues what acts for the PASID', (code) => {
    const device = enabled(0);
    device.busy.add(0);
    expect(device.command(code, 0xfffff, true)).toBe(ACTIVE);
    expect(device.requests).toMatchObject([
      { queues: [0], stopAccepting: false, abort: code === Code.abortPasid, pasid: 0xfffff },
    ]);
    device.finishWork();
    expect([device.read32(0xa8), queueState(device, 0), device.vectors]).toEqual([0, 1, [0]]);
  });
});

describe('interrupt handles', () => {
  test('are the table’s indices, where the device has the commands', () => {
    const device = new FakeDevice({ ...configurable, interruptHandles: true });
    expect(device.command(Code.requestHandle, 3)).toBe(3 << 8);
    expect(device.command(Code.releaseHandle, 3)).toBe(0);
    expect(device.command(Code.requestHandle, 4, true)).toBe(4 << 8);
    expect(device.vectors).toEqual([0]);
    for (const code of [Code.requestHandle, Code.releaseHandle]) {
      expect(device.command(code, 5)).toBe(0x41);
      expect(device.command(code, 0x1_0001)).toBe(0x41);
      expect(device.command(code, 0x2_0001)).toBe(4);
    }
  });
});

describe('bus master lost', () => {
  test('while the device is Disabled is nothing', () => {
    const device = configured();
    device.commands.halt();
    expect([state(device), device.errors, device.resets]).toEqual([0, [], 0]);
  });

  test('while it is enabled halts it until a function-level reset', () => {
    const device = enabled(0);
    device.write32(GENCTRL, 2);
    device.commands.halt();
    expect(device.read32(GENSTS)).toBe(3 | (1 << 2));
    expect([device.errors, device.read32(INTCAUSE), device.vectors, device.resets]).toEqual([
      [{ code: 0x51 }],
      1 << 4,
      [0],
      1,
    ]);
    device.commands.halt();
    expect(device.errors).toHaveLength(1);
  });

  test('without the halt interrupt raises none', () => {
    const device = enabled(0);
    device.commands.halt();
    expect(device.vectors).toEqual([]);
  });

  test('ends a command that is active with error 5 and its interrupt', () => {
    const device = enabled(0);
    device.busy.add(0);
    expect(device.command(Code.disableDevice, 0, true)).toBe(ACTIVE);
    device.commands.halt();
    expect([device.read32(0xa8), device.vectors, state(device)]).toEqual([5, [0], 3]);
    device.finishWork();
    expect([device.read32(0xa8), state(device)]).toEqual([5, 3]);
  });
});

test('a device in fixed configuration is enabled as it comes', () => {
  const device = new FakeDevice(fixed);
  expect(device.command(Code.resetDevice)).toBe(0);
  expect(device.command(Code.enableDevice)).toBe(0);
  expect(device.command(Code.enableWq, 0)).toBe(0);
  expect(device.enabled[0]).toMatchObject({
    index: 0,
    request: { size: 16, mode: 'dedicated', priority: 8, maxTransferShift: 31, maxBatchShift: 10 },
  });
  expect(device.command(Code.resetWq, 1)).toBe(0);
  expect(device.command(Code.enableWq, 0)).toBe(0);
});
