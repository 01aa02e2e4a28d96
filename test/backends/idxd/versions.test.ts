import { afterEach, describe, expect, test } from 'vitest';

import { DSA_VERSIONS, operationsOf } from '../../../src/backends/idxd/versions.ts';
import { supportedOperations } from '../../../src/engine/index.ts';
import { closeRegistries, type DsaGuest, dsaGuest, Flag, MEMORY_AT, probe } from './support/dsa-guest.ts';
import { GENCAP, OPCAP, VERSION } from './support/offsets.ts';

afterEach(closeRegistries);

const RECORD = MEMORY_AT + 0x8000n;
const crc64 = { opcode: 0x10, flags: Flag.recordValid | Flag.record | (1 << 19), source: MEMORY_AT, size: 64 };
const dix = {
  opcode: 0x17,
  flags: Flag.recordValid | Flag.record,
  source: MEMORY_AT,
  destination: MEMORY_AT + 0x4000n,
  size: 512,
};

type Submission = Parameters<DsaGuest['submit']>[1];

/** The status that the record gets. */
async function status(guest: DsaGuest, fields: Submission): Promise<number> {
  guest.at(RECORD, 32).fill(0);
  guest.submit(0, { ...fields, completion: RECORD });
  await expect.poll(() => guest.status(RECORD)).not.toBe(0);
  return guest.status(RECORD);
}

describe('the version of an instance decides what it shows, and it does that', () => {
  test.each([
    ['1.0', 0x100, 0x1_003f_03ffn, 0n, [0x11, 0x10]],
    // Readback, drain readback, fill with 16 bytes, CRC64, fault information, batch continuation, batches of one.
    ['2.0', 0x200, 0x1_00bf_03ffn, (1n << 52n) | 0x9f00n, [1, 1]],
  ] as const)('%s', async (version, code, operations, features, statuses) => {
    const guest = await dsaGuest('dsa-1dwq-v1', { version });
    expect(guest.read32(VERSION)).toBe(code);
    expect([0, 8, 16, 24].map((at) => guest.read64(OPCAP + at))).toEqual([operations, 0n, 0n, 0n]);
    const sizes = (31n << 16n) | (10n << 21n);
    // Overlap, cache hint, CMDCAP; not configurable.
    expect(guest.read64(GENCAP)).toBe(features | sizes | 0b1_0110n);
    probe(guest, code);
    guest.enable(1);
    expect([await status(guest, crc64), await status(guest, dix)]).toEqual(statuses);
  });

  test('an unknown one is refused', async () => {
    await expect(dsaGuest('dsa-cfg-v1', { version: '4.0' })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('4.0') as string,
    });
  });
});

test('an instance has no operation that its engines lack', () => {
  const engines = supportedOperations();
  expect(operationsOf('2.0', engines)[0]).toBe(DSA_VERSIONS['2.0'].operations);
  engines[0] = 0x0f;
  expect(operationsOf('1.0', engines)[0]).toBe(0x1_003f_030fn);
});
