// The event log as a guest's driver sees it: capability, Enable Device, entries, interrupt, Disable and resets, and a move.
import { afterEach, describe, expect, test } from 'vitest';

import { restored, saved } from '../../mdev/support/migratable.ts';
import { closeRegistries, CONFIG, dsaGuest, type DsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { Code, GENCAP, GENCFG, GENCTRL, GENSTS, INTCAUSE, SWERROR } from './support/offsets.ts';

afterEach(closeRegistries);

const EVLCFG = 0xe0;
const EVLSTATUS = 0xf0;
const LOG = MEMORY_AT + 0x1_0000n;
const EVENT_LOG_ENABLE = 1 << 13;
const PENDING = 0x4000_0000;
const EVENT_LOG_CAUSE = 1 << 5;

interface Setup {
  readonly entries?: number;
  readonly base?: bigint;
  readonly low?: bigint;
}

/** Configures the log as Linux does: EVLCFG, then GENCTRL, then GENCFG. */
function configureLog(guest: DsaGuest, { entries = 64, base = LOG, low = 0n }: Setup = {}): void {
  guest.write64(EVLCFG, base | low);
  guest.write64(EVLCFG + 8, BigInt(entries));
  guest.write32(GENCTRL, 7);
  guest.write32(GENCFG, guest.read32(GENCFG) | EVENT_LOG_ENABLE);
}

const tail = (guest: DsaGuest): number => guest.read32(EVLSTATUS + 4) & 0xffff;
const codes = (guest: DsaGuest, count: number, entrySize = 64): readonly (number | undefined)[] =>
  Array.from({ length: count }, (_, index) => guest.at(LOG + BigInt(index * entrySize), entrySize)[1]);
/** A record that is not aligned. */
const misalign = (guest: DsaGuest): void => {
  guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: MEMORY_AT + 0x10n });
};

/** What Linux's interrupt thread does: takes "pending" away, then everything up to the tail. */
function takeAll(guest: DsaGuest): number {
  guest.write32(INTCAUSE, EVENT_LOG_CAUSE);
  guest.write32(EVLSTATUS + 4, guest.read32(EVLSTATUS + 4));
  const taken = tail(guest) - guest.read32(EVLSTATUS);
  guest.write32(EVLSTATUS, tail(guest));
  return taken;
}

test.each([
  ['64', 1, 64],
  ['128', 2, 128],
  ['256', 3, 256],
] as const)(
  'entries of %s bytes: GENCAP says so, and errors come with an interrupt until it is pending',
  async (eventLog, code, size) => {
    const guest = await dsaGuest('dsa-cfg-v1', { eventLog });
    expect([(guest.read64(GENCAP) >> 13n) & 3n, (guest.read64(GENCAP) >> 32n) & 1n]).toEqual([BigInt(code), 1n]);
    configureLog(guest);
    guest.bringUp([16]);
    const interrupt = guest.interrupt(0);
    for (let error = 0; error < 3; error++) misalign(guest);
    await interrupt;
    expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
    expect([guest.read32(EVLSTATUS), guest.read32(EVLSTATUS + 4)]).toEqual([0, 3 | PENDING]);
    expect(codes(guest, 4, size)).toEqual([0x1b, 0x1b, 0x1b, 0]);
    expect(guest.read32(INTCAUSE) & EVENT_LOG_CAUSE).toBe(EVENT_LOG_CAUSE);
    expect(takeAll(guest)).toBe(3);
    expect([guest.read32(EVLSTATUS), guest.read32(EVLSTATUS + 4), guest.read32(SWERROR)]).toEqual([3, 3, 0]);
    const told = expect.objectContaining({ kind: 'event log', count: 3 }) as unknown;
    await expect.poll(() => guest.device.guestErrors, { timeout: 20_000 }).toEqual([told]);
  },
);

test('a device without one has neither registers nor capability, and does not enable with it', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  expect(guest.read64(GENCAP) & ((3n << 13n) | (1n << 32n))).toBe(0n);
  configureLog(guest);
  expect([guest.read64(EVLCFG), guest.read64(EVLSTATUS)]).toEqual([0n, 0n]);
  expect(guest.command(Code.enableDevice)).toBe(0x19);
});

describe('Enable Device', () => {
  test.each<[string, number, Setup]>([
    ['fewer than 64 entries', 0x19, { entries: 63 }],
    ['no entries', 0x19, { entries: 0 }],
    ['a PASID', 0x1b, { low: 1n }],
    ['privileged mode', 0x1b, { low: 2n }],
  ])('refuses a log with %s', async (_, error, setup) => {
    const guest = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
    configureLog(guest, setup);
    expect(guest.command(Code.enableDevice)).toBe(error);
    configureLog(guest);
    guest.bringUp([16]);
    // Locked from now on, and what is no part of the address reads zero.
    guest.write64(EVLCFG, 0n);
    guest.write64(EVLCFG + 8, 0n);
    expect([guest.read64(EVLCFG), guest.read64(EVLCFG + 8)]).toEqual([LOG, 64n]);
  });

  test.each<[string, Setup]>([
    ['outside of all maps', { base: 1n << 48n }],
    ['at the end of all addresses', { base: (1n << 64n) - 4096n, entries: 0xffff }],
  ])('takes a log %s: what fails is lost, and SWERROR says so', async (_, setup) => {
    const guest = await dsaGuest('dsa-cfg-v1', { eventLog: '256' });
    configureLog(guest, setup);
    guest.bringUp([16]);
    misalign(guest);
    expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
    expect([guest.read32(SWERROR) & 0xff01, guest.read64(SWERROR + 16)]).toEqual([0x5401, setup.base]);
    expect(guest.read64(EVLSTATUS)).toBe(0n);
  });

  test('clears EVLSTATUS, which Disable, Reset Device and errors afterwards leave alone', async () => {
    const guest = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
    configureLog(guest);
    guest.bringUp([16]);
    misalign(guest);
    expect(await guest.commandWithInterrupt(Code.disableDevice)).toBe(0);
    expect([tail(guest), codes(guest, 2)]).toEqual([1, [0x1b, 0]]);
    expect(await guest.commandWithInterrupt(Code.resetDevice)).toBe(0);
    expect([tail(guest), guest.read64(EVLCFG), guest.read32(GENCFG) & EVENT_LOG_ENABLE]).toEqual([1, 0n, 0]);
    guest.bringUp([16]);
    misalign(guest);
    await expect.poll(() => guest.read32(SWERROR) & 0xff01).toBe(0x1b01);
    expect([tail(guest), codes(guest, 2)]).toEqual([1, [0x1b, 0]]);
    expect(await guest.commandWithInterrupt(Code.resetDevice)).toBe(0);
    configureLog(guest);
    guest.bringUp([16]);
    expect(guest.read64(EVLSTATUS)).toBe(0n);
    misalign(guest);
    await expect.poll(() => tail(guest)).toBe(1);
  });
});

test('a full log loses what does not fit, and takes errors again when there is room', async () => {
  const guest = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
  configureLog(guest);
  guest.bringUp([64]);
  for (let error = 0; error < 64; error++) {
    misalign(guest);
    if (error % 32 === 31) expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
  }
  expect([tail(guest), guest.read32(SWERROR) & 0xff01]).toEqual([63, 0x5401]);
  expect(takeAll(guest)).toBe(63);
  misalign(guest);
  await expect.poll(() => tail(guest)).toBe(0);
});

test('a device that loses bus master halts with SWERROR, not in the log; a function-level reset mends it', async () => {
  const guest = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
  configureLog(guest);
  guest.bringUp([16]);
  guest.write16(4, 2, CONFIG);
  expect([guest.read32(GENSTS), guest.read32(SWERROR) & 0xff01]).toEqual([7, 0x5101]);
  guest.session.sync.reset();
  guest.write16(4, 6, CONFIG);
  expect([guest.read32(GENSTS), guest.read64(EVLSTATUS), guest.read64(EVLCFG)]).toEqual([0, 0n, 0n]);
  configureLog(guest);
  guest.bringUp([16]);
  misalign(guest);
  await expect.poll(() => tail(guest)).toBe(1);
});

test('a device that moves goes on in its log', async () => {
  const source = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
  const destination = await dsaGuest('dsa-cfg-v1', { eventLog: '64' });
  configureLog(source);
  source.bringUp([16]);
  misalign(source);
  expect(await source.commandWithInterrupt(Code.drainAll)).toBe(0);
  await restored(destination.session, await saved(source.session));
  expect(tail(destination)).toBe(1);
  misalign(destination);
  await expect.poll(() => tail(destination)).toBe(2);
  expect(codes(destination, 3)).toEqual([0, 0x1b, 0]);
});
