import { afterEach, describe, expect, test } from 'vitest';

import type { DsaGuest } from './support/dsa-guest.ts';
import { CONFIG, closeRegistries, dsaGuest, Flag, MEMORY_AT, probe } from './support/dsa-guest.ts';
import { ACTIVE, CMDSTATUS, Code, GENSTS, INTCAUSE, SWERROR, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

describe('commands with work in flight', () => {
  /** Guest memory again and again: moves that take long, and need little memory. */
  const LARGE_AT = 0x1_0000_0000n;
  const LARGE = 0x200_0000;
  /** Half of that memory further on, for else source and destination would be the same bytes. */
  const DESTINATION_AT = LARGE_AT + BigInt(LARGE) + 0x20_0000n;

  /** Fills queue 0 with moves of 32 MiB. */
  function load(guest: DsaGuest, count: number): void {
    guest.mapAgain(LARGE_AT, 3 * LARGE);
    for (let index = 0; index < count; index++) {
      guest.submit(0, { opcode: 3, source: LARGE_AT, destination: DESTINATION_AT, size: LARGE }, 1);
    }
  }

  test.each([
    ['Disable Device', Code.disableDevice, 0],
    ['Reset Device', Code.resetDevice, 0],
    ['Disable WQ', Code.disableWq, 1],
    ['Drain WQ', Code.drainWq, 1],
    ['Abort WQ', Code.abortWq, 1],
    ['Reset WQ', Code.resetWq, 1],
    ['Drain all', Code.drainAll, 0],
    ['Abort all', Code.abortAll, 0],
  ])('%s: registers answer at once, and the interrupt comes at the end', async (_, code, operand) => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64], 1n);
    load(guest, 40);
    const done = guest.commandWithInterrupt(code, operand);
    // Copying the 1.25 GiB takes longer than this thread is kept waiting; what is abandoned may have ended already.
    if (![Code.abortWq, Code.abortAll, Code.resetWq, Code.resetDevice].includes(code as never)) {
      expect(guest.read32(CMDSTATUS)).toBe(ACTIVE);
    }
    expect(await done).toBe(0);
    expect(guest.read32(INTCAUSE)).toBe(2);
    const deviceState = code === Code.disableDevice || code === Code.resetDevice ? 0 : 1;
    const ends: readonly number[] = [Code.disableDevice, Code.resetDevice, Code.disableWq, Code.resetWq];
    expect([guest.read32(GENSTS) & 3, guest.read32(wqcfg(0) + 24)]).toEqual([
      deviceState,
      ends.includes(code) ? 0 : 0x4000_0000,
    ]);
    // The device goes on working after it.
    if (code === Code.resetDevice || code === Code.resetWq) {
      guest.command(Code.disableDevice);
      guest.bringUp([64], 1n);
    } else if (code === Code.disableDevice) guest.enable(1);
    else if (code === Code.disableWq) expect(guest.command(Code.enableWq, 0)).toBe(0);
    const record = MEMORY_AT + 0x3f_0000n;
    const completed = guest.interrupt(1);
    const flags = Flag.recordValid | Flag.record | Flag.interrupt;
    guest.submit(0, { opcode: 0, flags, completion: record, handle: 1 });
    await completed;
    expect(guest.status(record)).toBe(1);
  });

  test('a second command while one is active is recorded as error 0x52', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64], 1n);
    load(guest, 60);
    const done = guest.commandWithInterrupt(Code.drainAll);
    expect(guest.read32(CMDSTATUS)).toBe(ACTIVE);
    guest.write32(0xa0, Code.enableDevice << 20);
    expect(guest.read64(SWERROR) & 0xff01n).toBe(0x5201n);
    expect(await done).toBe(0);
  });

  test('FLR answers at once, keeps nothing but the eventfds, and the device can be used again', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64], 1n);
    load(guest, 60);
    guest.write16(0x48, guest.read16(0x48, CONFIG) | 0x8000, CONFIG);
    guest.write16(4, 6, CONFIG);
    expect([guest.read32(GENSTS), guest.read32(wqcfg(0)), guest.read32(wqcfg(0) + 24)]).toEqual([0, 0, 0]);
    expect([guest.read32(INTCAUSE), guest.read64(SWERROR), guest.read32(CMDSTATUS)]).toEqual([0, 0n, 0]);
    probe(guest);
    guest.bringUp([64], 1n);
    const record = MEMORY_AT + 0x3f_0000n;
    const completed = guest.interrupt(1);
    const flags = Flag.recordValid | Flag.record | Flag.interrupt;
    guest.submit(0, { opcode: 0, flags, completion: record, handle: 1 });
    await completed;
    expect([guest.status(record), guest.read32(wqcfg(0) + 24)]).toEqual([1, 0x4000_0000]);
  });

  test('FLR during a command drops it: no late interrupt, no late state', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64], 1n);
    load(guest, 60);
    guest.write32(0xa0, (0x8000_0000 | (Code.disableDevice << 20)) >>> 0);
    guest.session.sync.reset();
    guest.write16(4, 6, CONFIG);
    guest.vectors[0]?.read();
    expect([guest.read32(CMDSTATUS), guest.read32(GENSTS)]).toEqual([0, 0]);
    guest.bringUp([64], 1n);
    expect([guest.read32(GENSTS), guest.read32(INTCAUSE), guest.vectors[0]?.read()]).toEqual([1, 0, 0]);
  });
});
