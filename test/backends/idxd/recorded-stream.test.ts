/** What former releases have written of a virtual DSA is taken, and goes on where it was. */
import { afterEach, expect, test } from 'vitest';

import { VfioIrq } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { restored, saved } from '../../mdev/support/migratable.ts';
import { recordedStreams } from '../../support/recorded-stream.ts';
import { closeRegistries, dsaGuest, type DsaGuest, encode, Flag } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, GENSTS, grpcfg, INTCAUSE, OPCAP, SWERROR, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

const CRC_GENERATION = 0x10;
/** OPCAP of release 0.1.0. */
const OPERATIONS = 0x3_027fn;
const CRCS = 24;
/** What each of them reads: one chunk that is a file of its own, then all memory, eight times over. */
const SOURCE = 0x1_0000_0000n;
const CHUNK = 0x1_0000;
const REST = 0x200_0000;
const SIZE = CHUNK + REST;
/** What `test/engine/reference/crc.ts` gives for that, and with zeros in the first chunk; it takes its time. */
const WHOLE = 0xdbdb_0199;
const HEADLESS = 0x531c_d355;
const RECORDS_AT = 0x2_0000_0000n;
const RECORDS = RECORDS_AT;
const LATCHED = RECORDS + 32n * BigInt(CRCS);
const HALF = LATCHED + 32n;
/** Queue 1, limited portal, a slot that nobody else uses. */
const HALF_AT = 0x4000 + 0x1000 + 64 * 63;
const half = encode({ opcode: 0, flags: Flag.recordValid | Flag.record, completion: HALF });

/** A guest with memory as it was when the streams were written, and its records. */
class Host implements Disposable {
  readonly guest: DsaGuest;
  readonly head = memoryFile(CHUNK);
  readonly records = memoryFile(0x1000);

  constructor(guest: DsaGuest) {
    this.guest = guest;
    const { sync } = guest.session;
    sync.dmaMap({ iova: SOURCE, size: BigInt(CHUNK), file: this.head });
    guest.mapAgain(SOURCE + BigInt(CHUNK), REST);
    sync.dmaMap({ iova: RECORDS_AT, size: 0x1000n, file: this.records });
    let state = 1;
    for (let at = 0; at < guest.memory.length; at++) {
      guest.memory[at] = (state = (Math.imul(state, 1_103_515_245) + 12_345) | 0) >>> 16;
    }
    new Uint8Array(this.head.buffer).set(guest.memory.subarray(0, CHUNK));
  }

  [Symbol.dispose](): void {
    this.head.close();
    this.records.close();
  }

  status(record: bigint): number {
    return new Uint8Array(this.records.buffer)[Number(record - RECORDS_AT)] ?? 0;
  }

  checksum(record: bigint): number {
    return new DataView(this.records.buffer).getUint32(Number(record - RECORDS_AT) + 16, true);
  }
}

async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await new Promise(setImmediate);
}

const record = async (): Promise<Uint8Array> => {
  const guest = await dsaGuest('dsa-cfg-v1');
  using host = new Host(guest);
  guest.bringUp([32, 16], 1n);
  // An operation that there is not, and nowhere to say so but SWERROR.
  guest.submit(1, { opcode: 0x3e });
  await until(() => (guest.read32(SWERROR) & 1) === 1);
  guest.session.sync.setIrqs({ index: VfioIrq.msix, start: 1, eventfds: [-1] });
  guest.submit(1, {
    opcode: 0,
    flags: Flag.recordValid | Flag.record | Flag.interrupt,
    completion: LATCHED,
    handle: 1,
  });
  await until(() => host.status(LATCHED) === 1);
  for (let at = 0; at < 32; at += 8) guest.write(2, HALF_AT + at, half.subarray(at, at + 8));
  for (let index = 0; index < CRCS; index++) {
    const completion = RECORDS + 32n * BigInt(index);
    guest.submit(
      0,
      { opcode: CRC_GENERATION, flags: Flag.recordValid | Flag.record, source: SOURCE, size: SIZE, completion },
      1,
    );
  }
  guest.write32(CMD, (0x8000_0000 | (Code.disableWq << 20) | 1) >>> 0);
  expect(guest.read32(CMDSTATUS)).toBe(ACTIVE);
  return await saved(guest.session);
};

const streams = await recordedStreams('dsa-cfg-v1.bin', record);

test.each(streams)('one of release %s', async (_release, stream) => {
  const guest = await dsaGuest('dsa-cfg-v1');
  using host = new Host(guest);
  // Who has read the beginning already does not see this.
  new Uint8Array(host.head.buffer).fill(0);
  const ended = guest.interrupt(0);
  await restored(guest.session, stream);
  await ended;

  expect([CMDSTATUS, GENSTS, INTCAUSE].map((at) => guest.read32(at))).toEqual([0, 1, 2]);
  expect([guest.read32(wqcfg(0)), guest.read32(wqcfg(1)), guest.read64(grpcfg(0))]).toEqual([32, 16, 3n]);
  expect([guest.read32(wqcfg(0) + 24), guest.read32(wqcfg(1) + 24) >>> 30]).toEqual([0, 1]);
  expect(guest.read32(SWERROR) & 1).toBe(1);
  expect(guest.vectors[1]?.read()).toBe(1);

  const results = Array.from({ length: CRCS }, (_, index) => {
    const at = RECORDS + 32n * BigInt(index);
    return host.status(at) === 0 ? undefined : host.checksum(at);
  });
  const first = results.findIndex((result) => result !== undefined);
  expect(first).toBeGreaterThanOrEqual(0);
  expect(results.slice(first)).toEqual([WHOLE, ...Array.from({ length: CRCS - first - 1 }, () => HEADLESS)]);

  for (let at = 32; at < 64; at += 8) guest.write(2, HALF_AT + at, half.subarray(at, at + 8));
  await expect.poll(() => host.status(HALF)).toBe(1);
  expect(guest.command(Code.enableWq, 0)).toBe(0);
  guest.submit(0, { opcode: 0, flags: Flag.recordValid | Flag.record, completion: LATCHED });
  await expect.poll(() => host.status(LATCHED)).toBe(1);

  // Its driver goes on with the operations that it found, and finds what this release has after the next reset.
  expect(guest.read64(OPCAP)).toBe(OPERATIONS);
  expect(guest.command(Code.resetDevice)).toBe(0);
  expect(guest.read64(OPCAP) & OPERATIONS).toBe(OPERATIONS);
  expect(guest.read64(OPCAP)).toBeGreaterThan(OPERATIONS);
  expect(guest.read64(wqcfg(0) + 0x20)).toBe(guest.read64(OPCAP));
});
