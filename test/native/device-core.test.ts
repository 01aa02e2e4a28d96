import { describe, expect, it, vi } from 'vitest';

import {
  addon,
  createDeviceCore,
  createRegisterTable,
  type DeviceCore,
  type RegisterTable,
} from '../../src/native/binding.ts';
import { BAR0, bytes, CONFIG, device, EINVAL, EIO, MSIX, READ_WRITE, table } from './support/device.ts';
import { collectGarbage } from './support/garbage.ts';

describe('regions', () => {
  it('serves registers from memory that it shares', () => {
    const { core, words } = device();
    expect(core.write(CONFIG, 0, bytes(1, 2, 3, 4))).toBe(0);
    expect(words[0]).toBe(0x04030201);
    words[0] = 0xaabbccdd;
    const into = new Uint8Array(2);
    expect(core.read(CONFIG, 1, into)).toBe(0);
    expect(into).toEqual(bytes(0xcc, 0xbb));
    expect(core.statistics()).toMatchObject({ reads: 1, writes: 1, traps: 0, refused: 0 });
  });

  it('answers accesses out of range with EINVAL and counts them', () => {
    const { core } = device();
    expect(core.read(CONFIG, 0xfe, new Uint8Array(4))).toBe(EINVAL);
    expect(core.read(CONFIG, Number.MAX_SAFE_INTEGER, new Uint8Array(4))).toBe(EINVAL);
    expect(core.read(3, 0, new Uint8Array(4))).toBe(EINVAL);
    expect(core.read(0xffffffff, 0, new Uint8Array(4))).toBe(EINVAL);
    expect(core.statistics().refused).toBe(4);
  });

  it('keeps BARs shut while memory decode is off', () => {
    const { core } = device();
    core.setRegion(BAR0, 64, READ_WRITE);
    const into = new Uint8Array(4);
    expect(core.read(BAR0, 0, into)).toBe(EIO);
    core.setMemoryDecode(true);
    expect(core.read(BAR0, 0, into)).toBe(0);
    expect(into).toEqual(bytes(0xff, 0xff, 0xff, 0xff));
    core.setMemoryDecode(false);
    core.setEnforceMemoryDecode(false);
    expect(core.write(BAR0, 0, into)).toBe(0);
    expect(core.statistics().droppedWrites).toBe(1);
  });

  it('names a wrong declaration', () => {
    const { core } = device();
    expect(() => core.setRegisterRegion(32, 0x100, 3, table)).toThrow(/region index is 32; expected 0 to 31/);
    expect(() => core.setRegisterRegion(0, 0x10, 3, table)).toThrow(/region 0 has 16 bytes; .* needs 32/);
    expect(() => core.setRegisterRegion(0, 0x100, 7, table)).toThrow(/flags of region 0 are 7/);
    expect(() => {
      core.setRegion(0, -1, 3);
    }).toThrow(/size is -1; expected an integer from 0/);
    expect(() => {
      core.setRegion(0, 1.5, 3);
    }).toThrow(RangeError);
    expect(() => {
      core.setRegion(0, NaN, 3);
    }).toThrow(RangeError);
    expect(() => createRegisterTable(bytes(1, 2, 3))).toThrow(/register table: shorter than its header/);
  });

  it('reads large ranges', () => {
    const core = createDeviceCore();
    core.setRegion(CONFIG, 3 * 4096, READ_WRITE);
    const into = new Uint8Array(3 * 4096);
    expect(core.read(CONFIG, 0, into)).toBe(0);
    expect(into.every((byte) => byte === 0xff)).toBe(true);
  });
});

describe('objects', () => {
  const { DeviceCore: Core, RegisterTable: Table } = addon as {
    DeviceCore: new () => DeviceCore;
    RegisterTable: new (bytes: Uint8Array) => RegisterTable;
  };

  it('refuses other objects', () => {
    const { core } = device();
    for (const other of [undefined, null, 1, {}, core, new Uint8Array(1), Object.create(Table.prototype as object)]) {
      expect(() => core.setRegisterRegion(0, 64, 3, other as RegisterTable)).toThrow('table is not a RegisterTable');
    }
    for (const other of [undefined, {}, table, new Proxy(core, {}), Object.create(Core.prototype as object)]) {
      expect(() => (Core.prototype as DeviceCore).reset.call(other as DeviceCore)).toThrow(TypeError);
    }
    expect(() => (Core as unknown as () => unknown)()).toThrow(TypeError);
    expect(() => new (Table as unknown as new () => unknown)()).toThrow('bytes is not a Uint8Array');
    expect(() => createRegisterTable(new Uint16Array(4) as unknown as Uint8Array)).toThrow('bytes is not a Uint8Array');
  });

  it('keeps region memory as long as anybody uses it', () => {
    const memories = Array.from({ length: 20 }, () => {
      const { core, words } = device();
      core.close();
      return words;
    });
    collectGarbage();
    for (const words of memories) words[0] = 5;
    expect(memories.map((words) => words[0])).toEqual(memories.map(() => 5));
  });

  it('is collected with its handler when it was closed', async () => {
    const make = (): WeakRef<DeviceCore> => {
      const { core } = device({ access: () => core.reset() });
      expect(core.write(CONFIG, 8, bytes(1))).toBe(0);
      core.close();
      return new WeakRef(core);
    };
    const made = make();
    await vi.waitFor(() => {
      collectGarbage();
      // Not the object itself: a failed expectation would keep it alive.
      expect(made.deref() === undefined).toBe(true);
    });
  });

  it('throws from every method after close, except statistics and close', () => {
    const { core } = device();
    core.close();
    core.close();
    expect(core.statistics().reads).toBe(0);
    expect(() => core.reset()).toThrow('the device is closed');
    expect(() => {
      core.triggerIrq(MSIX, 0);
    }).toThrow('the device is closed');
  });
});
