import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { GuestError } from '../../../src/mdev/index.ts';
import { CONFIG, closeRegistries, type DsaGuest, dsaGuest, Flag } from './support/dsa-guest.ts';
import { CMD, Code, SWERROR, wqcfg } from './support/offsets.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await closeRegistries();
});

const look = (): void => {
  vi.advanceTimersByTime(1000);
};

async function watched(): Promise<{ readonly guest: DsaGuest; readonly told: GuestError[] }> {
  const guest = await dsaGuest('dsa-cfg-v1');
  const told: GuestError[] = [];
  guest.device.on('guestError', (error) => told.push(error));
  return { guest, told };
}

/** A completion record that is not 32-byte aligned has nowhere to go but SWERROR. */
async function misalign(guest: DsaGuest): Promise<void> {
  guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: 0x10_0010n });
  expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
}

test('a driver that does everything right', async () => {
  const { guest, told } = await watched();
  guest.bringUp([64]);
  guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: 0x10_0020n });
  expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
  expect(await guest.commandWithInterrupt(Code.disableDevice)).toBe(0);
  guest.session.sync.reset();
  guest.close();
  expect([told, guest.device.guestErrors]).toEqual([[], []]);
});

test('each software error is counted once, also when the guest or a reset clears it before anybody looks', async () => {
  const { guest, told } = await watched();
  guest.bringUp([64]);
  await misalign(guest);
  guest.write64(SWERROR, 3n);
  await misalign(guest);
  look();
  look();
  expect(told).toEqual([
    {
      kind: 'SWERROR 0x1b',
      message: 'bar0.SWERROR0 holds error 0x1b of WQ 0, descriptor of operation 0x00',
      count: 2,
    },
  ]);
  guest.write64(SWERROR, 3n);
  await misalign(guest);
  guest.write16(0x48, 0x8000, CONFIG);
  guest.write16(4, 6, CONFIG);
  guest.bringUp([64]);
  await misalign(guest);
  look();
  expect(told).toHaveLength(1);
  expect(guest.device.guestErrors).toMatchObject([{ kind: 'SWERROR 0x1b', count: 4 }]);
  guest.write16(4, 2, CONFIG);
  look();
  // SWERROR is taken: the loss of bus master shows as overflow only.
  expect(told).toHaveLength(1);
  guest.write16(0x48, 0x8000, CONFIG);
  guest.write16(4, 6, CONFIG);
  guest.bringUp([64]);
  guest.write16(4, 2, CONFIG);
  guest.close();
  expect(told.slice(1)).toMatchObject([{ kind: 'SWERROR 0x51', message: 'bar0.SWERROR0 holds error 0x51' }]);
});

test('queues that are full or disabled, frozen registers, and memory that is not there', async () => {
  const { guest, told } = await watched();
  guest.submit(0, { opcode: 0 }, 1);
  look();
  expect(told.splice(0).map(({ kind }) => kind)).toEqual(['WQ 0 disabled']);
  guest.bringUp([4]);
  guest.write32(wqcfg(0), 9);
  guest.submit(0, {
    opcode: 3,
    flags: Flag.recordValid | Flag.record,
    completion: 0x10_0020n,
    source: 0x9000_0000n,
    destination: 0x10_1000n,
    size: 64,
  });
  expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
  look();
  expect(
    told
      .splice(0)
      .map(({ kind }) => kind)
      .sort(),
  ).toEqual(['dmaFaults', 'frozenWrites']);
  guest.write32(CMD, Code.enableDevice << 20);
  const move = { opcode: 3, source: 0x10_0000n, destination: 0x30_0000n, size: 0x10_0000 };
  for (let count = 0; count < 1000 && guest.read64(SWERROR) === 0n; count++) guest.submit(0, move, 1);
  look();
  expect(told.map(({ kind }) => kind)).toEqual(['SWERROR 0x53', 'WQ 0 full']);
});
