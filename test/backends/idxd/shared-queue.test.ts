/** A shared work queue as guests in this process and behind a socket see it. */
import { afterEach, describe, expect, test } from 'vitest';

import { VfioError } from '../../../src/mdev/index.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { restored, saved } from '../../mdev/support/migratable.ts';
import {
  CONFIG,
  closeRegistries,
  dsaDevice,
  dsaGuest,
  type DsaGuest,
  encode,
  Flag,
  MEMORY_AT,
} from './support/dsa-guest.ts';
import {
  ATS_CONTROL,
  Code,
  GENCAP,
  GENCFG,
  GENSTS,
  grpcfg,
  INTCAUSE,
  PASID_CONTROL,
  PRI_CONTROL,
  SWERROR,
  WQCAP,
  wqcfg,
} from './support/offsets.ts';

afterEach(closeRegistries);

const PORTALS = 2;
const UNLIMITED = 0x0000;
const LIMITED = 0x1000;
const EAGAIN = 11;
const RECORDS = MEMORY_AT + 0x1000n;
const SHARED = 0xa0;
const noOp = encode({ opcode: 0 });

/** Group 0 with the queue and the engine, `threshold` and all sizes; enabled. */
function bringUp(guest: DsaGuest, size: number, threshold: number, mode = SHARED): void {
  guest.write32(wqcfg(0), size);
  guest.write32(wqcfg(0) + 4, threshold);
  guest.write32(wqcfg(0) + 8, mode);
  guest.write32(wqcfg(0) + 12, 31 | (10 << 5));
  guest.write64(grpcfg(0), 1n);
  guest.write64(grpcfg(0) + 32, 1n);
  guest.enable(1);
}

const occupancy = (guest: DsaGuest): number => guest.read32(wqcfg(0) + 24) & 0xffff;
/** ENQCMD: whether it was taken. */
function enqueue(guest: DsaGuest, at: number, descriptor = noOp): boolean {
  const errno = guest.tryWrite(PORTALS, at, descriptor);
  expect([0, EAGAIN]).toContain(errno);
  return errno === 0;
}
/** Eight stores, as QEMU sends them, and what the slot says then. */
function stores(guest: DsaGuest, at: number, descriptor = noOp): boolean {
  for (let done = 0; done < 64; done += 8) {
    guest.session.sync.writeRegion(PORTALS, at + done, descriptor.subarray(done, done + 8), { posted: true });
  }
  return slotSays(guest, at);
}
function slotSays(guest: DsaGuest, at: number): boolean {
  const bytes = guest.read(PORTALS, at, 64);
  expect(new Set(bytes).size).toBe(1);
  expect([0, 0xff]).toContain(bytes[0]);
  return bytes[0] === 0;
}

describe('dsa-1swq-v1', () => {
  test('is configurable, has one shared queue, and shows no PASIDs', async () => {
    const guest = await dsaGuest('dsa-1swq-v1', { entries: 24 });
    expect([(guest.read64(GENCAP) >> 31n) & 1n, guest.read64(WQCAP) & 0xff_ffffn]).toEqual([1n, (1n << 16n) | 24n]);
    expect([(guest.read64(WQCAP) >> 48n) & 3n, guest.device.regions[2]?.size]).toEqual([1n, 0x4000]);
    expect((guest.read32(0x64, CONFIG) >>> 28) & 1).toBe(1);
    expect(guest.read32(0x220, CONFIG)).toBe(0);
    expect(guest.device.configSpace.capabilities.map(({ name }) => name)).not.toContain('PASID');
  });

  test('runs what ENQCMD brings, and what stores put together', async () => {
    const guest = await dsaGuest('dsa-1swq-v1');
    bringUp(guest, 16, 16);
    const descriptor = (record: number): Uint8Array =>
      encode({
        opcode: 0,
        flags: Flag.recordValid | Flag.record | Flag.interrupt,
        completion: RECORDS + BigInt(32 * record),
        handle: 1,
      });
    const done = guest.interrupt(1);
    expect(enqueue(guest, LIMITED, descriptor(0))).toBe(true);
    await done;
    expect(stores(guest, UNLIMITED + 64, descriptor(1))).toBe(true);
    while (guest.status(RECORDS + 32n) === 0) await guest.interrupt(1);
    expect([guest.status(RECORDS), guest.status(RECORDS + 32n)]).toEqual([1, 1]);
    // MOVDIR64B is for dedicated queues.
    guest.session.sync.writeRegion(PORTALS, LIMITED, descriptor(2), { posted: true });
    expect([slotSays(guest, LIMITED), occupancy(guest)]).toEqual([false, 0]);
    expect(guest.read32(SWERROR)).toBe(0);
  });

  test('says Retry at the threshold, which may change at any time, and when it is full', async () => {
    const guest = await dsaGuest('dsa-1swq-v1', { entries: 8 });
    bringUp(guest, 8, 2);
    // Nothing is dispatched meanwhile.
    await guest.device.quiesce();
    expect([1, 2, 3].map(() => enqueue(guest, LIMITED))).toEqual([true, true, false]);
    expect([enqueue(guest, UNLIMITED), stores(guest, LIMITED), stores(guest, UNLIMITED)]).toEqual([true, false, true]);
    expect(occupancy(guest)).toBe(4);
    guest.write32(wqcfg(0) + 4, 5);
    expect([1, 2].map(() => enqueue(guest, LIMITED))).toEqual([true, false]);
    guest.write16(wqcfg(0) + 4, 0xffff);
    expect([1, 2, 3, 4].map(() => stores(guest, LIMITED))).toEqual([true, true, true, false]);
    expect([occupancy(guest), enqueue(guest, UNLIMITED)]).toEqual([8, false]);
    // Neither the guest nor the operator is told of an error.
    expect(guest.read32(SWERROR)).toBe(0);
    expect(guest.device.guestErrors.filter(({ count }) => count > 0)).toEqual([]);
    guest.device.resume();
    await expect.poll(() => occupancy(guest)).toBe(0);
    expect(enqueue(guest, LIMITED)).toBe(true);
  });

  test('answers for nobody: disabled, without a queue, on IMS pages, halted', async () => {
    const guest = await dsaGuest('dsa-1swq-v1');
    expect([0, 1, 2, 3].map((page) => enqueue(guest, 0x1000 * page))).toEqual([false, false, false, false]);
    expect(stores(guest, LIMITED)).toBe(false);
    bringUp(guest, 8, 8);
    expect([0, 1, 2, 3].map((page) => enqueue(guest, 0x1000 * page))).toEqual([true, true, false, false]);
    expect(stores(guest, 0x2000)).toBe(false);
    guest.write16(4, 2, CONFIG);
    expect(guest.read32(GENSTS) & 3).toBe(3);
    expect([enqueue(guest, LIMITED), stores(guest, LIMITED)]).toEqual([false, false]);
  });

  const anew: [string, (guest: DsaGuest) => void][] = [
    [
      'Reset Device',
      (guest) => {
        expect(guest.command(Code.resetDevice)).toBe(0);
      },
    ],
    [
      'Reset WQ',
      (guest) => {
        expect(guest.command(Code.resetWq, 1)).toBe(0);
      },
    ],
    [
      'DEVICE_RESET',
      (guest) => {
        guest.device.reset();
      },
    ],
    [
      'FLR',
      (guest) => {
        guest.write16(0x48, 0x8000, CONFIG);
      },
    ],
  ];
  test.each(anew)('%s clears what slots say', async (_, reset) => {
    const guest = await dsaGuest('dsa-1swq-v1');
    bringUp(guest, 8, 8);
    expect([stores(guest, LIMITED), stores(guest, UNLIMITED + 64)]).toEqual([true, true]);
    reset(guest);
    guest.write16(4, 6, CONFIG);
    expect([slotSays(guest, LIMITED), slotSays(guest, UNLIMITED + 64)]).toEqual([false, false]);
    expect(enqueue(guest, LIMITED)).toBe(false);
  });

  test('takes its queue, halves and what slots say along when it moves', async () => {
    const source = await dsaGuest('dsa-1swq-v1');
    const destination = await dsaGuest('dsa-1swq-v1');
    bringUp(source, 8, 2);
    await source.device.quiesce();
    expect([stores(source, LIMITED), stores(source, LIMITED + 64), stores(source, LIMITED + 128)]).toEqual([
      true,
      true,
      false,
    ]);
    for (let at = 0; at < 32; at += 8) source.write(PORTALS, UNLIMITED + at, noOp.subarray(at, at + 8));
    source.device.resume();
    await restored(destination.session, await saved(source.session));
    expect([0, 64, 128].map((at) => slotSays(destination, LIMITED + at))).toEqual([true, true, false]);
    expect(slotSays(destination, UNLIMITED)).toBe(false);
    for (let at = 32; at < 64; at += 8) destination.write(PORTALS, UNLIMITED + at, noOp.subarray(at, at + 8));
    expect(slotSays(destination, UNLIMITED)).toBe(true);
    // The threshold is that of the registers.
    await expect.poll(() => occupancy(destination)).toBe(0);
    await destination.device.quiesce();
    expect([1, 2, 3].map(() => enqueue(destination, LIMITED))).toEqual([true, true, false]);
  });

  test('is served by its share of an engine, whatever priority the guest gives it', async () => {
    const guest = await dsaGuest('dsa-1swq-v1', { priority: 3 });
    guest.write32(wqcfg(0) + 8, 0xf0);
    expect(guest.read32(wqcfg(0) + 8)).toBe(0xf0);
    bringUp(guest, 8, 8, 0xf0);
    expect(enqueue(guest, LIMITED)).toBe(true);
  });
});

describe('PASIDs', () => {
  const shown = { pasid: true };

  test('are shown if the operator wants that, and not hidden', async () => {
    for (const [pasid, platform] of [
      [true, 'shown'],
      [true, 'in-process'],
      [false, 'hidden'],
    ] as const) {
      const { device, registry } = await dsaDevice('dsa-1swq-v1', shown, {}, { pasid: platform });
      expect(device.configSpace.capabilities.some(({ name }) => name === 'PASID')).toBe(pasid);
      await registry.close();
    }
  });

  test('where the platform hides them, a queue is without', async () => {
    const guest = await dsaGuest('dsa-1swq-v1', shown, {}, { pasid: 'hidden' });
    bringUp(guest, 8, 8);
    expect(enqueue(guest, LIMITED)).toBe(true);
  });

  test('where they are shown, a shared queue has them once the guest has enabled them', async () => {
    const guest = await dsaGuest('dsa-1swq-v1', shown);
    expect(guest.read32(0x230, CONFIG)).toBe(0x2401_001b);
    expect([guest.read16(0x234, CONFIG), guest.read32(0x248, CONFIG)]).toEqual([0x1404, 0x200]);
    expect(() => {
      bringUp(guest, 8, 8);
    }).toThrow(`enable: 0, 38`);
    expect(guest.command(Code.resetDevice)).toBe(0);
    guest.write32(GENCFG, 96 | (1 << 12));
    guest.write16(PASID_CONTROL, 1, CONFIG);
    bringUp(guest, 8, 8, SHARED | (1 << 28));
    // The vector's entry names whom it serves.
    guest.write32(0x408, (0x777 << 12) | 8);
    const submit = async (pasid: number): Promise<number> => {
      const bytes = encode({
        opcode: 0,
        flags: Flag.recordValid | Flag.record | Flag.interrupt,
        completion: RECORDS,
        handle: 1,
      });
      new DataView(bytes.buffer).setUint32(0, pasid, true);
      guest.at(RECORDS, 32).fill(0);
      expect(stores(guest, LIMITED, bytes)).toBe(true);
      await expect.poll(() => guest.status(RECORDS)).not.toBe(0);
      return guest.status(RECORDS);
    };
    expect([await submit(0x777), await submit(0x778)]).toEqual([1, 0x19]);
    // Nobody is privileged.
    const bytes = encode({ opcode: 0 });
    new DataView(bytes.buffer).setUint32(0, 0x8000_0777, true);
    expect(stores(guest, LIMITED, bytes)).toBe(true);
    await expect.poll(() => guest.read32(SWERROR) & 1).toBe(1);
    expect((guest.read32(SWERROR) >>> 8) & 0xff).toBe(0x1d);
    expect(guest.command(Code.drainPasid, 0x777)).toBe(0);
    expect(guest.command(Code.abortPasid, 0x777)).toBe(0);
  });

  test.each([
    ['ATS', ATS_CONTROL, 0x8000],
    ['PASID', PASID_CONTROL, 1],
    ['privileged mode', PASID_CONTROL, 4],
    ['PRI', PRI_CONTROL, 1],
  ])('%s must not change while the device is enabled', async (_, at, bit) => {
    const guest = await dsaGuest('dsa-1swq-v1', shown);
    guest.write16(at, bit, CONFIG);
    expect(guest.read32(GENSTS)).toBe(0);
    guest.write16(PASID_CONTROL, at === PASID_CONTROL ? bit | 1 : 1, CONFIG);
    bringUp(guest, 8, 8, SHARED | (1 << 28));
    guest.write16(at, guest.read16(at, CONFIG), CONFIG);
    expect(guest.read32(GENSTS)).toBe(1);
    guest.write16(at, guest.read16(at, CONFIG) & ~bit, CONFIG);
    expect([guest.read32(GENSTS), guest.read32(INTCAUSE), guest.read32(SWERROR)]).toEqual([7, 0x10, 0x5101]);
    expect(enqueue(guest, LIMITED)).toBe(false);
  });
});

test('behind a socket: EAGAIN to who waits, silence to who does not, and the slot to who looks', async () => {
  const guest = await dsaGuest('dsa-1swq-v1');
  await guest.session.close();
  const [near, far] = socketPair();
  const server = serve(guest.device, { fd: near });
  const client = await connect({ fd: far });
  for (const [at, value] of [
    [wqcfg(0), 4],
    [wqcfg(0) + 4, 1],
    [wqcfg(0) + 8, SHARED],
    [wqcfg(0) + 12, 31 | (10 << 5)],
    [grpcfg(0), 1],
    [grpcfg(0) + 32, 1],
    [0xa0, Code.enableDevice << 20],
    [0xa0, Code.enableWq << 20],
  ] as const) {
    await client.writeRegister(0, at, 4, value);
    expect(await client.readRegister(0, 0xa8, 4)).toBe(0);
  }
  await guest.device.quiesce();
  const waiting = async (): Promise<number> => (await client.readRegister(0, wqcfg(0) + 24, 4)) & 0xffff;
  await client.writeRegion(PORTALS, LIMITED, noOp);
  await expect(client.writeRegion(PORTALS, LIMITED, noOp)).rejects.toMatchObject(
    new VfioError('EAGAIN', 'regionWrite was refused with EAGAIN', 'regionWrite'),
  );
  await client.writeRegion(PORTALS, LIMITED, noOp, { posted: true });
  expect(await waiting()).toBe(1);
  // All of it in flight at once, as QEMU sends it, the read behind the stores.
  const answers: Promise<number>[] = [];
  for (let slot = 0; slot < 5; slot++) {
    for (let at = 0; at < 64; at += 8) {
      void client.writeRegion(PORTALS, UNLIMITED + 64 * slot + at, noOp.subarray(at, at + 8), { posted: true });
    }
    answers.push(client.readRegister(PORTALS, UNLIMITED + 64 * slot, 4));
  }
  expect(await Promise.all(answers)).toEqual([0, 0, 0, 0xffff_ffff, 0xffff_ffff]);
  expect([await waiting(), await client.readRegister(PORTALS, LIMITED, 4)]).toEqual([4, 0xffff_ffff]);
  guest.device.resume();
  await expect.poll(waiting).toBe(0);
  await client.writeRegion(PORTALS, LIMITED, noOp);
  await client.close();
  await server.close();
});
