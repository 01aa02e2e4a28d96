import { expect, test } from 'vitest';

import {
  array,
  describe as describeBlock,
  formatDescription,
  lockedBy,
  none,
  reg16,
  reg32,
  reg64,
  registerBlock,
  RegisterRegion,
  ro,
  rw,
  surviving,
  w1c,
} from '../../src/emulation/index.ts';

const block = registerBlock(0x1000, {
  STATE: reg32(0x10, { state: ro(1, 0, { idle: 0, busy: 1 }), error: w1c(31) }, { reset: 1, shared: true }),
  VERSION: reg16(0x00, { major: ro(15, 8), minor: ro(7, 0) }, { reset: 0x100, constant: true }),
  BASE: reg64(0x20, { base: rw(63, 12) }, { lockedBy: 'running', commit: 'last', survives: ['software'] }),
  Q: array(
    0x100,
    8,
    2,
    { SIZE: reg32(0, { size: lockedBy('on', rw(15, 0)), sticky: surviving('function', none(16)) }, { widths: [4] }) },
    { locks: ['on'] },
  ),
});

test('a description is data, by ascending offset and descending bits', () => {
  const region = new RegisterRegion(block);
  region.registers.STATE.error = true;
  region.registers.BASE.base = 0x1234n;
  const rows = describeBlock(block, region);
  expect(rows.map(({ path, offset }) => [path, offset])).toEqual([
    ['VERSION', 0],
    ['STATE', 0x10],
    ['BASE', 0x20],
    ['Q[0].SIZE', 0x100],
    ['Q[1].SIZE', 0x108],
  ]);
  expect(rows[1]).toEqual({
    path: 'STATE',
    offset: 0x10,
    width: 32,
    fields: [
      {
        name: 'error',
        msb: 31,
        lsb: 31,
        access: 'w1c',
        values: undefined,
        locks: [],
        survives: [],
        reset: false,
        current: true,
      },
      {
        name: 'state',
        msb: 1,
        lsb: 0,
        access: 'ro',
        values: { idle: 0, busy: 1 },
        locks: [],
        survives: [],
        reset: 1,
        current: 1,
      },
    ],
    reset: 1n,
    current: 0x8000_0001n,
    shared: true,
    commit: undefined,
    widths: [],
    survives: [],
    constant: false,
  });
  expect(rows[2]).toMatchObject({ current: 0x123_4000n, fields: [{ current: 0x1234n, locks: ['running'] }] });
  expect(describeBlock(block)[2]).toMatchObject({ current: undefined, fields: [{ reset: 0n, current: undefined }] });
});

test('a description is text, one line per register and field', () => {
  expect(formatDescription(describeBlock(block))).toBe(
    [
      '000  VERSION    0x0100  constant',
      '      15:8  ro   major = 1',
      '       7:0  ro   minor = 0',
      '010  STATE      0x00000001  shared',
      '        31  w1c  error = 0',
      '       1:0  ro   state = 1 (busy)',
      '020  BASE       0x0000000000000000  commit last  survives software reset',
      '     63:12  rw   base = 0  locked by running',
      '100  Q[0].SIZE  0x00000000  writes of 4 bytes',
      '        16  none  sticky = 0  survives function reset',
      '      15:0  rw   size = 0  locked by on',
      '108  Q[1].SIZE  0x00000000  writes of 4 bytes',
      '        16  none  sticky = 0  survives function reset',
      '      15:0  rw   size = 0  locked by on',
    ].join('\n'),
  );
});
