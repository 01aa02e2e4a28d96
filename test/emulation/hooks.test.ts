import { describe, expect, it } from 'vitest';

import {
  array,
  compile,
  reg32,
  reg64,
  registerBlock,
  RegisterRegion,
  ro,
  rw,
  w1c,
  wo,
} from '../../src/emulation/index.ts';
import { bytesOf, readNumber } from './support/bytes.ts';

const block = registerBlock(0x100, {
  COUNT: reg32(0x00, { count: ro(31, 0) }),
  CMD: reg32(0x04, { operand: wo(19, 0), code: wo(24, 20), interrupt: wo(31) }),
  STATUS: reg32(0x08, { busy: ro(0), error: w1c(1), level: rw(7, 4) }, { shared: true }),
  ADDRESS: reg64(0x10, { low: rw(11, 0), page: rw(63, 12) }, { commit: 'last' }),
  QUEUE: array(0x40, 0x10, 4, { SIZE: reg32(0, { size: rw(15, 0) }, { lockedBy: 'on' }) }, { locks: ['on'] }),
});

describe('hooks', () => {
  it('see the fields, what was there, and which bits came', () => {
    const seen: unknown[] = [];
    const region = new RegisterRegion(block, {
      hooks: {
        CMD: {
          afterWrite(next, previous, access) {
            seen.push({ ...next }, next.value, { ...previous }, { ...access });
          },
        },
        ADDRESS: {
          beforeWrite: (next, _, { written }) => void seen.push(next.page, written),
        },
      },
    });
    region.write(0x04, bytesOf(0x8010_0003n, 4));
    expect(seen).toEqual([
      { operand: 3, code: 1, interrupt: true },
      0x8010_0003,
      { operand: 0, code: 0, interrupt: false },
      { index: 0, written: 0xffff_ffff },
    ]);
    seen.length = 0;
    region.write(0x06, bytesOf(0x20n, 1));
    expect(seen.at(-1)).toEqual({ index: 0, written: 0x00ff_0000 });
    seen.length = 0;
    region.write(0x10, bytesOf(0x5000n, 4));
    expect(seen).toEqual([]);
    region.write(0x14, bytesOf(0n, 4));
    expect(seen).toEqual([5n, 2n ** 64n - 1n]);
    expect(readNumber(region, 0x04, 4)).toBe(0n);
  });

  it('run once per access and register, in the order of addresses, and know the index', () => {
    const seen: unknown[] = [];
    const region = new RegisterRegion(block, {
      hooks: {
        COUNT: { beforeRead: () => void seen.push('COUNT') },
        CMD: { afterWrite: () => void seen.push('CMD') },
        QUEUE: {
          SIZE: {
            beforeRead: ({ index }) => void seen.push(`read ${index}`),
            afterWrite: ({ size }, _, { index }) => void seen.push(`QUEUE[${index}] = ${size}`),
          },
        },
      },
    });
    region.write(
      0x00,
      Uint8Array.from({ length: 0x60 }, (_, i) => i),
    );
    expect(seen).toEqual(['CMD', 'QUEUE[0] = 16704', 'QUEUE[1] = 20816']);
    seen.length = 0;
    region.read(0, new Uint8Array(0x80));
    expect(seen).toEqual(['COUNT', 'read 0', 'read 1', 'read 2', 'read 3']);
  });

  it('refresh what is read, by the device side or by what they return', () => {
    let count = 0xffff_fffe;
    const region = new RegisterRegion<typeof block>(block, {
      hooks: {
        COUNT: { beforeRead: () => ({ count: count++ }) },
        STATUS: {
          beforeRead: () => {
            region.registers.STATUS.busy = !region.registers.STATUS.busy;
          },
        },
      },
    });
    expect([readNumber(region, 0, 4), readNumber(region, 0, 4)]).toEqual([0xffff_fffen, 0xffff_ffffn]);
    expect([readNumber(region, 8, 4), readNumber(region, 8, 4)]).toEqual([1n, 0n]);
  });

  it('correct what is stored before, and add to it after', () => {
    const region = new RegisterRegion(block, {
      hooks: {
        QUEUE: { SIZE: { beforeWrite: ({ size }) => ({ size: Math.min(size, 128) }) } },
        STATUS: {
          beforeWrite: ({ level }, previous) => (level > 9 ? { level: previous.level } : undefined),
          afterWrite: ({ level }) => ({ busy: level > 0 }),
        },
      },
    });
    region.write(0x50, bytesOf(1000n, 4));
    expect(region.registers.QUEUE[1]?.SIZE.size).toBe(128);
    region.registers.STATUS.error = true;
    region.write(0x08, bytesOf(0x32n, 4));
    expect(region.registers.STATUS).toEqual({ busy: true, error: false, level: 3 });
    region.write(0x08, bytesOf(0xf0n, 4));
    expect(region.registers.STATUS).toEqual({ busy: true, error: false, level: 3 });
  });

  it('do not undo what happened to the register while they ran', () => {
    const region = new RegisterRegion<typeof block>(block, {
      hooks: {
        STATUS: {
          beforeWrite: () => {
            region.registers.STATUS.busy = true;
          },
        },
      },
    });
    region.write(0x08, bytesOf(0x10n, 4));
    expect(region.registers.STATUS).toEqual({ busy: true, error: false, level: 1 });
  });

  it('may reach the region itself, their own register included', () => {
    const seen: unknown[] = [];
    const region = new RegisterRegion<typeof block>(block, {
      hooks: {
        CMD: {
          afterWrite(next, previous, access) {
            if (next.code > 0) region.write(0x04, bytesOf(BigInt(next.code - 1) << 20n, 4));
            if (next.code === 2) region.reset('software');
            seen.push([next.code, previous.code, access.written]);
          },
        },
      },
    });
    // Twice: the arguments of the first round are used again.
    for (let round = 0; round < 2; round++) {
      seen.length = 0;
      region.write(0x06, bytesOf(0x20n, 2));
      expect(seen).toEqual([
        [0, 1, 0xffff_ffff],
        [1, 2, 0xffff_ffff],
        [2, 0, 0xffff_0000],
      ]);
    }
    expect(region.registers.CMD.value).toBe(0);
  });

  it('do not run for what locks and widths refuse', () => {
    let runs = 0;
    const region = new RegisterRegion(block, { hooks: { QUEUE: { SIZE: { afterWrite: () => void (runs += 1) } } } });
    const [queue] = region.registers.QUEUE;
    if (queue === undefined) throw new Error('no queue');
    queue.locks.on = true;
    region.write(0x40, bytesOf(1n, 4));
    expect([runs, region.counters.frozen]).toEqual([0, 1]);
    queue.locks.on = false;
    region.write(0x40, bytesOf(1n, 4));
    expect(runs).toBe(1);
  });

  it('that fail leave a region that works', () => {
    let fail = true;
    const region = new RegisterRegion(block, {
      hooks: {
        CMD: {
          afterWrite: () => {
            if (fail) throw new Error('broken');
          },
        },
      },
    });
    expect(() => {
      region.write(0x04, bytesOf(1n, 4));
    }).toThrow('broken');
    fail = false;
    region.write(0x04, bytesOf(7n, 4));
    expect(region.registers.CMD.operand).toBe(7);
  });

  it.each<readonly [string, () => unknown, string]>([
    ['a promise', () => Promise.reject(new Error('late')), 'CMD: afterWrite returned a promise; hooks are synchronous'],
    ['no object', () => 5, 'CMD: afterWrite must return nothing or an object of the fields it changes'],
    ['null', () => null, 'CMD: afterWrite must return nothing or an object of the fields it changes'],
    ['an unknown field', () => ({ operands: 1 }), 'CMD: afterWrite returned "operands", which is no field of it'],
    ['a value that does not fit', () => ({ code: 32 }), 'CMD.code: 32 does not fit in 5 bits'],
    ['a value of another type', () => ({ interrupt: 1 }), 'CMD.interrupt: 1 is not a boolean'],
  ])('must not return %s', (_, result, message) => {
    const region = new RegisterRegion(block, { hooks: { CMD: { afterWrite: () => result() as undefined } } });
    expect(() => {
      region.write(0x04, bytesOf(1n, 4));
    }).toThrow(message);
  });

  it('must be those that the table was compiled for', () => {
    const table = compile(block, { CMD: { afterWrite: () => undefined } });
    expect(() => new RegisterRegion(table, { hooks: { COUNT: { beforeRead: () => undefined } } })).toThrow(
      'hooks: COUNT has hooks that its table was not compiled for',
    );
    expect(() => new RegisterRegion(table, { hooks: { CMD: { beforeRead: () => undefined } } })).toThrow(
      'CMD has hooks',
    );
    new RegisterRegion(table).write(0x04, bytesOf(1n, 4));
  });
});

describe('an access that a hook has ended', () => {
  const pair = registerBlock(0x100, { A: reg32(0, { a: rw(31, 0) }), B: reg32(4, { b: rw(31, 0) }) });

  it.each(['beforeWrite', 'afterWrite'] as const)('writes nothing behind that %s', (kind) => {
    const calls: string[] = [];
    let goesOn = true;
    const ending = {
      [kind]: (): void => {
        calls.push('A');
        goesOn = false;
      },
    };
    const region = new RegisterRegion(pair, {
      hooks: { A: ending, B: { afterWrite: () => void calls.push('B') } },
      goesOn: () => goesOn,
    });
    region.write(0, bytesOf(0x0000_0002_0000_0001n, 8));
    expect([calls, region.registers.A.a, region.registers.B.b]).toEqual([['A'], kind === 'afterWrite' ? 1 : 0, 0]);
    goesOn = true;
    region.write(4, bytesOf(3n, 4));
    expect([calls, region.registers.B.b]).toEqual([['A', 'B'], 3]);
  });

  it('reads nothing behind it', () => {
    const calls: string[] = [];
    const region = new RegisterRegion(pair, {
      hooks: { A: { beforeRead: () => void calls.push('A') }, B: { beforeRead: () => void calls.push('B') } },
      goesOn: () => calls.length === 0,
    });
    region.read(0, new Uint8Array(8));
    expect(calls).toEqual(['A']);
  });
});
