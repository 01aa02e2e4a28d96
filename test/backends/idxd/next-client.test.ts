import { afterEach, expect, it } from 'vitest';

import { closeRegistries, DsaGuest, dsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code } from './support/offsets.ts';

afterEach(closeRegistries);

const FILL = 4;
const MEMORY_SIZE = 0x40_0000;
const RECORD_AT = MEMORY_AT + BigInt(MEMORY_SIZE - 32);

it('what a client has queued is not done in the memory of the next one', async () => {
  let guest = await dsaGuest('dsa-cfg-v1');
  const { device } = guest;
  guest.bringUp([128]);
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 100; index++) {
      guest.submit(0, { opcode: FILL, source: 0xa5a5_a5a5_a5a5_a5a5n, destination: MEMORY_AT, size: MEMORY_SIZE });
    }
    await guest.session.close();
    guest[Symbol.dispose]();
    guest = new DsaGuest(device);
    // The queue is still enabled, and does one thing after another: what is left of the work would end before this.
    guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: RECORD_AT });
    await expect.poll(() => guest.status(RECORD_AT), { timeout: 60_000, interval: 1 }).toBe(1);
    expect(guest.memory.subarray(0, MEMORY_SIZE - 32).every((byte) => byte === 0)).toBe(true);
  }
  guest[Symbol.dispose]();
});

it('a command that waits for what a client has queued ends with it', async () => {
  let guest = await dsaGuest('dsa-cfg-v1');
  const { device } = guest;
  guest.bringUp([128]);
  for (let round = 0; round < 50; round++) {
    // In one turn: most rounds end before the engine has woken up.
    guest.submit(0, { opcode: 0 });
    guest.write32(CMD, Code.drainAll << 20);
    const closed = guest.session.close();
    guest[Symbol.dispose]();
    await closed;
    guest = new DsaGuest(device);
    await expect.poll(() => guest.read32(CMDSTATUS) & ACTIVE, { timeout: 10_000, interval: 1 }).toBe(0);
  }
  guest[Symbol.dispose]();
});
