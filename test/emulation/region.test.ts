import { describe, expect, it } from 'vitest';

import {
  array,
  group,
  lockedBy,
  rc,
  reg16,
  reg32,
  reg64,
  reg8,
  registerBlock,
  RegisterRegion,
  type ResetKind,
  ro,
  rw,
  w0c,
  w1c,
  w1s,
  wo,
} from '../../src/emulation/index.ts';
import { bytesOf, readNumber } from './support/bytes.ts';

const kinds: readonly ResetKind[] = ['cold', 'function', 'software'];

describe('RegisterRegion', () => {
  const block = registerBlock(0x2000, {
    VERSION: reg32(0x00, { minor: ro(7, 0), major: ro(15, 8) }, { reset: 0x100, constant: true }),
    CONTROL: reg32(0x04, { enable: rw(0), burst: lockedBy('busy', rw(7, 4)) }, { reset: 0x10 }),
    CAUSE: reg32(0x0c, { done: w1c(0), error: w1c(1) }, { shared: true }),
    SOURCE: reg64(0x10, { address: rw(63, 0) }, { lockedBy: ['running', 'busy'] }),
    DOORBELL: reg32(0x20, { length: wo(31, 0) }, { widths: [4] }),
    TARGET: reg64(0x28, { address: rw(63, 0) }, { commit: 'last' }),
    STICKY: reg16(0x30, { set: w1s(7, 0), clear: w0c(15, 8) }, { reset: 0xff00, survives: ['software'] }),
    EVENTS: reg8(0x32, { count: rc(7, 0) }),
    QUEUE: array(
      0x1000,
      0x10,
      4,
      {
        SIZE: reg32(0, { size: rw(15, 0) }, { lockedBy: 'running' }),
        MODE: reg32(4, { on: rw(0) }, { lockedBy: 'on' }),
      },
      { locks: ['on'] },
    ),
    CAP: group(0x1ff0, { ID: reg8(0, { id: ro(7, 0) }, { reset: 5 }), DATA: reg32(4, { data: rw(31, 0) }) }),
  });
  const make = (): RegisterRegion<typeof block> => new RegisterRegion(block);

  it('an optional table may have no elements', () => {
    for (const options of [undefined, { locks: ['on'] as const }]) {
      const ids = { ID: reg32(0, { id: ro(7, 0) }, { reset: 5 }) };
      const element = { MODE: reg32(0, { on: rw(0) }, { lockedBy: 'on' }), EVENT: reg32(4, { seen: rc(0) }) };
      const none =
        options === undefined
          ? registerBlock(0x1000, { ...ids, NONE: array(0x100, 8, 0, element) })
          : registerBlock(0x1000, { ...ids, NONE: array(0x100, 8, 0, element, options) });
      const region = new RegisterRegion(none, { hooks: { NONE: { MODE: { afterWrite: () => undefined } } } });
      region.write(0x100, bytesOf(0xffff_ffffn, 4));
      region.reset('cold');
      region.restore(region.snapshot());
      expect([readNumber(region, 0, 4), readNumber(region, 0x100, 8), [...region.registers.NONE]]).toEqual([
        5n,
        0n,
        [],
      ]);
    }
  });

  it('reads reset values and zeros between registers', () => {
    const region = make();
    expect(readNumber(region, 0x00, 8)).toBe(0x10_0000_0100n);
    expect(readNumber(region, 0x08, 4)).toBe(0n);
    expect(readNumber(region, 0x1ffe, 8)).toBe(0n);
    expect(readNumber(region, 2 ** 40, 8)).toBe(0n);
    region.write(2 ** 40, bytesOf(1n, 8));
    region.write(0x1ffe, bytesOf(-1n, 8));
  });

  it('freezes a field while its lock is held, and a register while any of its locks is', () => {
    const region = make();
    region.locks.busy = true;
    region.write(0x04, bytesOf(0xf1n, 4));
    expect(region.registers.CONTROL).toEqual({ enable: true, burst: 1 });
    region.write(0x10, bytesOf(5n, 8));
    region.locks.busy = false;
    region.locks.running = true;
    region.write(0x10, bytesOf(6n, 8));
    expect(region.registers.SOURCE.address).toBe(0n);
    expect(region.counters).toMatchObject({ dropped: 0, frozen: 2 });
    region.locks.running = false;
    region.write(0x10, bytesOf(7n, 8));
    expect(region.registers.SOURCE.address).toBe(7n);
  });

  it('keeps locks of array elements apart from each other and from the block', () => {
    const region = make();
    const { QUEUE } = region.registers;
    const [first, second] = [QUEUE[0], QUEUE[1]];
    if (first === undefined || second === undefined) throw new Error('no elements');
    second.locks.on = true;
    for (const offset of [0x1004, 0x1014]) region.write(offset, bytesOf(1n, 4));
    expect([first.MODE.on, second.MODE.on]).toEqual([true, false]);
    region.locks.running = true;
    for (const offset of [0x1000, 0x1010]) region.write(offset, bytesOf(9n, 4));
    expect([first.SIZE.size, second.SIZE.size]).toEqual([0, 0]);
    expect(first.locks).toEqual({ on: false });
  });

  it('drops writes of other widths, and lets reads of any width through', () => {
    const region = make();
    region.write(0x20, bytesOf(1n, 2));
    region.write(0x22, bytesOf(1n, 2));
    expect(region.registers.DOORBELL.length).toBe(0);
    expect(region.counters.dropped).toBe(2);
    region.write(0x1c, bytesOf(0x77_0000_0000n, 8));
    expect(region.registers.DOORBELL.length).toBe(0x77);
    expect(readNumber(region, 0x20, 1)).toBe(0n);
  });

  it('commits a staged register with its last byte, and forgets halves on reset', () => {
    const region = make();
    region.write(0x28, bytesOf(0x1111_1111n, 4));
    expect(region.registers.TARGET.address).toBe(0n);
    region.write(0x2c, bytesOf(0x2222_2222n, 4));
    expect(region.registers.TARGET.address).toBe(0x2222_2222_1111_1111n);
    region.write(0x28, bytesOf(0x3333_3333n, 4));
    region.reset('software');
    region.write(0x2c, bytesOf(0x4444_4444n, 4));
    expect(region.registers.TARGET.address).toBe(0x4444_4444_0000_0000n);
    region.write(0x28, bytesOf(0x5555_5555n, 4));
    region.dropStaged();
    region.write(0x2f, bytesOf(0x66n, 1));
    expect(region.registers.TARGET.address).toBe(0x6644_4444_0000_0000n);
  });

  it.each(kinds)('resets what does not survive a %s reset', (kind) => {
    const region = make();
    region.registers.VERSION.major = 3;
    region.registers.STICKY.set = 1;
    region.registers.CONTROL.burst = 2;
    region.locks.running = true;
    region.reset(kind);
    expect(region.registers.VERSION.major).toBe(3);
    expect(region.registers.STICKY.set).toBe(kind === 'software' ? 1 : 0);
    expect(region.registers.CONTROL.burst).toBe(1);
    expect(region.locks.running).toBe(false);
  });

  it('clears on read only the bytes that were read', () => {
    const wide = registerBlock(8, { R: reg64(0, { count: rc(63, 0) }) });
    const region = new RegisterRegion(wide);
    region.registers.R.count = 0x1122_3344_5566_7788n;
    expect(readNumber(region, 3, 2)).toBe(0x4455n);
    expect(region.registers.R.count).toBe(0x1122_3300_0066_7788n);
  });

  it('refuses values that do not fit and names the field', () => {
    const { registers } = make();
    expect(() => (registers.CONTROL.burst = 16)).toThrow('CONTROL.burst: 16 does not fit in 4 bits');
    expect(() => (registers.CONTROL.burst = 1.5)).toThrow('CONTROL.burst: 1.5 does not fit in 4 bits');
    expect(() => (registers.SOURCE.address = -1n)).toThrow('SOURCE.address: -1 does not fit in 64 bits');
    expect(() => (registers.STICKY.value = 0x1_0000)).toThrow('STICKY: 65536 does not fit in 16 bits');
    expect(() => (registers.CONTROL.enable = 1 as unknown as boolean)).toThrow('CONTROL.enable: 1 is not a boolean');
    expect(() => ((registers.CONTROL as unknown as Record<string, number>)['bursts'] = 1)).toThrow(TypeError);
  });

  it('keeps a spread copy of a view and of lock states', () => {
    const region = make();
    expect({ ...region.registers.CONTROL }).toEqual({ enable: false, burst: 1 });
    expect({ ...region.locks }).toEqual({ busy: false, running: false });
    expect(Object.keys(region.registers)).toEqual(Object.keys(block.registers));
  });

  it('refuses memory that is too small', () => {
    expect(() => new RegisterRegion(block, { memory: new ArrayBuffer(64) })).toThrow(/64 bytes of memory, \d+ needed/);
  });

  it('writes reset values to memory that it is given, unless it adopts the contents', () => {
    const first = make();
    first.registers.CONTROL.burst = 7;
    first.locks.busy = true;
    first.write(0x28, bytesOf(1n, 4));
    const before = first.snapshot();
    const adopting = new RegisterRegion(first.table, { memory: first.memory, adopt: true });
    expect(adopting.snapshot()).toEqual(before);
    adopting.registers.CONTROL.burst = 6;
    expect(first.registers.CONTROL.burst).toBe(6);
    const taking = new RegisterRegion(first.table, { memory: first.memory });
    expect(taking.snapshot()).toEqual(make().snapshot());
    expect(first.registers.CONTROL.burst).toBe(1);
  });

  it('refuses offsets that are none', () => {
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 60])
      expect(() => {
        make().read(offset, new Uint8Array(1));
      }).toThrow(RangeError);
  });
});
