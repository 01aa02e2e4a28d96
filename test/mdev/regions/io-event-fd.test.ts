import { describe, expect, it } from 'vitest';

import { reg32, registerBlock, rw } from '../../../src/emulation/index.ts';
import { mmio } from '../../../src/mdev/index.ts';

const block = registerBlock(0x1000, { BELL: reg32(0x10, { number: rw(31, 0) }) });

describe('an ioeventfd of a region', () => {
  it('is kept with it', () => {
    const ioEventFds = [
      { offset: 0x10, size: 4, datamatch: 0xffff_ffffn },
      { offset: 0xff8, size: 8 },
    ] as const;
    expect(mmio(block, { ioEventFds }).ioEventFds).toBe(ioEventFds);
    expect(mmio(block).ioEventFds).toBeUndefined();
  });

  it.each([
    ['of no width', { offset: 0x10, size: 3 as 4 }, 'of 3 bytes; expected 1, 2, 4 or 8'],
    ['that is not aligned', { offset: 0x12, size: 4 } as const, 'a multiple of 4 inside 4096 bytes'],
    ['behind the end', { offset: 0x1000, size: 1 } as const, 'inside 4096 bytes'],
    ['before the start', { offset: -4, size: 4 } as const, 'inside 4096 bytes'],
    ['of no place', { offset: NaN, size: 4 } as const, 'inside 4096 bytes'],
    [
      'for a value that is too long',
      { offset: 0, size: 1, datamatch: 256n } as const,
      'the value 256; expected one of 1 bytes',
    ],
    ['for a negative value', { offset: 0, size: 8, datamatch: -1n } as const, 'the value -1'],
  ])('%s is a mistake', (_what, bell, message) => {
    expect(() => mmio(block, { ioEventFds: [bell] })).toThrow(message);
  });
});
