// An error that is not the guest's: recorded in AER, contained while work is in flight, mended by a reset.
import { afterEach, expect, test } from 'vitest';

import { CONFIG, closeRegistries, dsaGuest, type DsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { Code, GENSTS } from './support/offsets.ts';

afterEach(closeRegistries);

const DEVSTS = 0x4a;
const UNCORRECTABLE_STATUS = 0x104;
const CORRECTABLE_STATUS = 0x110;
const FIRST_ERROR = 0x118;
const HEADER_LOG = 0x11c;
const POISONED = 1 << 12;
const INTERNAL = 1 << 22;
const ONES = 0xffff_ffff;

const RECORDS = MEMORY_AT;
const SOURCE = MEMORY_AT + 0x10_0000n;
const TARGET = MEMORY_AT + 0x20_0000n;
const BY_MESSAGE = 1n << 32n;
const SIZE = 0x10_0000;
const MOVES = 24;
const record = (index: number): bigint => RECORDS + 32n * BigInt(index);

/** Moves of 1 MiB, each with a record. Every second one reads what this thread has to answer, so it lasts as long as nobody does. */
function submitMoves(guest: DsaGuest): void {
  guest.session.sync.dmaMap({ iova: BY_MESSAGE, memory: new Uint8Array(SIZE).fill(0x5a) });
  for (let index = 0; index < MOVES; index++) {
    const flags = Flag.recordValid | Flag.record | Flag.interrupt;
    const source = index % 2 === 0 ? SOURCE : BY_MESSAGE;
    const move = { opcode: 3, source, destination: TARGET, size: SIZE, handle: 1, flags };
    guest.submit(0, { ...move, completion: record(index) }, 1);
  }
}

const statuses = (guest: DsaGuest): readonly number[] =>
  Array.from({ length: MOVES }, (_, index) => guest.status(record(index)));

test('moves in flight end without a trace, and the device works again after a reset', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  const { device } = guest;
  guest.bringUp([32], 1n);
  guest.at(SOURCE, SIZE).fill(0x5a);
  submitMoves(guest);

  const header = [1, 2, 3, 4] as const;
  expect(device.error({ uncorrectable: 'poisonedTlp', header })).toMatchObject({ isolated: true, reported: false });
  expect(device.state).toBe('frozen');
  // From here on nothing of the device reaches the guest.
  const seen = statuses(guest);
  guest.at(TARGET, SIZE).fill(0x11);
  for (const vector of guest.vectors) vector.read();
  expect([guest.read32(GENSTS), guest.read32(0, CONFIG), guest.read32(UNCORRECTABLE_STATUS, CONFIG)]).toEqual([
    ONES,
    ONES,
    ONES,
  ]);
  guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: record(MOVES) });
  // A second one is told, and changes no more than AER.
  expect(device.error({ uncorrectable: 'internal' })).toMatchObject({ isolated: false });

  device.reset();
  expect(device.state).toBe('running');
  expect(guest.read32(UNCORRECTABLE_STATUS, CONFIG)).toBe(POISONED | INTERNAL);
  expect(guest.read32(FIRST_ERROR, CONFIG)).toBe(12);
  expect([0, 4, 8, 12].map((at) => guest.read32(HEADER_LOG + at, CONFIG))).toEqual(header);
  guest.write32(UNCORRECTABLE_STATUS, POISONED, CONFIG);
  expect(guest.read32(UNCORRECTABLE_STATUS, CONFIG)).toBe(INTERNAL);

  // The driver begins anew; engines that had the old work would show it by now.
  guest.write16(4, 6, CONFIG);
  expect(guest.read32(GENSTS)).toBe(0);
  guest.bringUp([32], 1n);
  guest.submit(0, {
    opcode: 3,
    source: SOURCE,
    destination: TARGET + 0x1000n,
    size: 64,
    flags: Flag.recordValid | Flag.record,
    completion: record(MOVES + 1),
  });
  await expect.poll(() => guest.status(record(MOVES + 1))).toBe(1);
  expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
  expect(statuses(guest)).toEqual(seen);
  expect(seen).toContain(0);
  expect(guest.status(record(MOVES))).toBe(0);
  expect([guest.at(TARGET, 1)[0], guest.at(TARGET + 0x1000n, 1)[0], guest.vectors[1]?.read()]).toEqual([0x11, 0x5a, 0]);
});

test('the errors that it has not are refused; a correctable one is recorded, and work goes on', async () => {
  const guest = await dsaGuest('dsa-1dwq-v1');
  expect(() => guest.device.error({ uncorrectable: 'dataLinkProtocol' })).toThrow(RangeError);
  expect(() => guest.device.error({ correctable: 'receiver' })).toThrow(RangeError);
  expect(guest.device.error({ uncorrectable: 'completerAbort', advisory: true })).toMatchObject({ isolated: false });
  expect([guest.device.state, guest.read32(CORRECTABLE_STATUS, CONFIG)]).toEqual(['running', 1 << 13]);
  expect(guest.read16(DEVSTS, CONFIG) & 0xf).toBe(1);
  guest.enable(1);
});
