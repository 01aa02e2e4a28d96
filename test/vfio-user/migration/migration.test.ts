import { setTimeout as delay } from 'node:timers/promises';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type MdevDevice,
  MdevError,
  MigrationFlag,
  MigrationState,
  type VfioDevice,
  VfioIrq,
} from '../../../src/mdev/index.ts';
import { eventfd, memoryFile, serve } from '../../../src/vfio-user/index.ts';
import { connect } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import {
  At,
  type Counter,
  counter,
  type CounterOptions,
  readAll,
  restored,
  saved,
  seen,
  VECTORS,
} from '../../mdev/support/migratable.ts';
import { plainMigratable } from '../../mdev/support/plain-card.ts';
import { FACES, openFace } from '../support/faces.ts';

const CONFIG = 7;
const S = MigrationState;

/** A counter in use, with something in every part of its state. */
async function used(face: (typeof FACES)[number], options: CounterOptions = {}): Promise<[Counter, VfioDevice]> {
  const source = await counter(options);
  const vmm = await openFace(face, source.device);
  await vmm.writeRegister(CONFIG, At.command, 2, 7);
  await vmm.writeRegister(CONFIG, 0x10, 4, 0xfe00_0000);
  await vmm.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
  for (let slot = 0; slot < 16; slot++) await vmm.writeRegister(0, At.slot + 8 * slot, 4, 0x1000 + slot);
  await vmm.writeRegister64(0, At.limit, 0x1122_3344_5566_7788n);
  // Half of a register that takes effect with its last byte.
  await vmm.writeRegister(0, At.limit, 4, 0xdead_beef);
  await vmm.writeRegion(
    2,
    100,
    Uint8Array.from({ length: 500 }, (_, index) => index * 7),
  );
  await vmm.writeRegister(0, At.count, 4, 77);
  source.context.bar0.registers.CAUSE.done = true;
  source.context.bar0.locks.counting = true;
  // Vectors without eventfds latch.
  for (const vector of [0, 33, 39]) await vmm.writeRegister(0, At.raise, 4, vector + 2);
  await vmm.writeRegister(0, At.raise, 4, 1);
  return [source, vmm];
}

/** A destination, with memory decode on so that its BARs can be seen. */
async function fresh(face: (typeof FACES)[number], options: CounterOptions = {}): Promise<[Counter, VfioDevice]> {
  const target = await counter(options);
  const vmm = await openFace(face, target.device);
  await vmm.writeRegister(CONFIG, At.command, 2, 3);
  await vmm.writeRegister(0, At.slot, 4, 0x5555);
  await vmm.writeRegister(0, At.count, 4, 5);
  return [target, vmm];
}

describe.each(FACES)('a device %s that is migrated', (face) => {
  it('is the same on the other side: registers, locks, halves, memory, interrupts, and what the vendor adds', async () => {
    const [, vmm] = await used(face);
    await using _source = vmm;
    expect(await vmm.migrationFlags()).toBe(MigrationFlag.stopCopy | MigrationFlag.p2p | MigrationFlag.preCopy);
    expect(await vmm.migrationState()).toBe(S.running);
    const estimate = await vmm.stopCopySize();
    const stream = await saved(vmm);
    expect(BigInt(stream.length)).toBe(estimate);
    expect(await vmm.stopCopySize()).toBe(0n);
    const before = await seen(vmm);

    const [target, other] = await fresh(face);
    await using _target = other;
    await restored(other, stream, 333);
    expect(target.count).toBe(77);
    expect(target.running).toBe(true);
    expect(await other.migrationState()).toBe(S.running);
    expect(await seen(other)).toEqual(before);
    expect(target.context.bar0.locks.counting).toBe(true);
    target.context.bar0.locks.counting = false;
    await other.writeRegister(0, At.limit + 4, 4, 0x0102_0304);
    expect(await other.readRegister64(0, At.limit)).toBe(0x0102_0304_dead_beefn);

    const fired: number[] = [];
    for (const vector of [0, 1, 33, 39]) {
      const line = eventfd();
      await other.setIrqs({ index: VfioIrq.msix, start: vector, eventfds: [line.fd] });
      if (line.read() > 0) fired.push(vector);
      line.close();
    }
    expect(fired).toEqual([0, 33, 39]);
    expect(target.context.irqs.intx.asserted).toBe(true);
  });

  it('keeps masks, and fires when the mask is taken off', async () => {
    const [, vmm] = await used(face);
    await using _source = vmm;
    await vmm.writeRegister(CONFIG, At.msixControl, 2, 0xc000);
    const stream = await saved(vmm);
    const [, other] = await fresh(face);
    await using _target = other;
    // QEMU sets its eventfds before or after.
    const lines = Array.from({ length: VECTORS }, () => eventfd());
    await other.setIrqs({ index: VfioIrq.msix, eventfds: lines.map(({ fd }) => fd) });
    await restored(other, stream);
    expect(lines.filter((line) => line.read() > 0)).toEqual([]);
    await other.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
    expect(lines.flatMap((line, vector) => (line.read() > 0 ? [vector] : []))).toEqual([0, 33, 39]);
    for (const line of lines) line.close();
  });

  it('decodes its BARs and reaches memory as its guest had set it, without being told again', async () => {
    const [, vmm] = await used(face);
    await using _source = vmm;
    const stream = await saved(vmm);
    const target = await counter();
    await using other = await openFace(face, target.device);
    const file = memoryFile(0x1000);
    await other.dmaMap({ iova: 0n, size: 0x1000n, file });
    await expect(other.readRegister(0, At.slot, 4)).rejects.toMatchObject({ code: 'EIO' });
    await restored(other, stream);
    expect(await other.readRegister(0, At.slot, 4)).toBe(0x1000);
    await target.context.dma.write(0n, Uint8Array.of(9));
    expect(new Uint8Array(file.buffer)[0]).toBe(9);
    file.close();
  });

  it('neither raises interrupts nor reaches memory while it is stopped, and is read all the while', async () => {
    const [source, vmm] = await used(face);
    await using _source = vmm;
    const file = memoryFile(0x1000);
    await vmm.dmaMap({ iova: 0n, size: 0x1000n, file });
    const line = eventfd();
    await vmm.setIrqs({ index: VfioIrq.msix, start: 7, eventfds: [line.fd] });
    await vmm.setMigrationState(S.stop);
    expect(source.running).toBe(false);
    expect(source.device.state).toBe('quiesced');
    expect(() => {
      source.device.resume();
    }).toThrow('migrates it');
    source.context.irqs.msix.trigger(7);
    await expect(source.context.dma.write(0n, Uint8Array.of(1))).rejects.toMatchObject({ code: 'EFAULT' });
    expect(await vmm.readRegister(0, At.slot, 4)).toBe(0x1000);
    expect(line.read()).toBe(0);
    await vmm.setMigrationState(S.runningP2p);
    expect(line.read()).toBe(1);
    await source.context.dma.write(0n, Uint8Array.of(1));
    expect(new Uint8Array(file.buffer)[0]).toBe(1);
    file.close();
    line.close();
  });

  it('tells in advance who it is, and what may go early', async () => {
    const [source, vmm] = await used(face, { early: Uint8Array.of(4, 5, 6) });
    await using _source = vmm;
    await vmm.setMigrationState(S.preCopy);
    const first = await readAll(vmm, 64);
    expect(source.running).toBe(true);
    await vmm.writeRegister(0, At.count, 4, 3);
    await vmm.setMigrationState(S.stopCopy);
    const rest = await readAll(vmm);
    expect(source.running).toBe(false);

    const [other, vmmOther] = await fresh(face, { id: 'abacus' });
    await using _other = vmmOther;
    await vmmOther.setMigrationState(S.resuming);
    await expect(vmmOther.writeMigrationData(first)).rejects.toMatchObject({ code: 'EINVAL' });
    await vmmOther.setMigrationState(S.running);
    expect(other.count).toBe(5);

    const [target, vmmTarget] = await fresh(face);
    await using _target = vmmTarget;
    await restored(vmmTarget, Buffer.concat([first, rest]), 100);
    expect(target.count).toBe(80);
    expect(target.early).toEqual(Uint8Array.of(4, 5, 6));
  });

  it.each<[string, CounterOptions, CounterOptions]>([
    ['type', { id: 'abacus' }, {}],
    ['payload version', { version: 4 }, {}],
    ['compatibility', { compatibility: 'a' }, { compatibility: 'b' }],
    ['attributes', { attributes: { lanes: 1 } }, { attributes: { lanes: 3 } }],
    ['platform', { platform: { msixOwner: 'client' } }, { platform: { msixOwner: 'device' } }],
    ['platform', { platform: { enforceBusMaster: true } }, { platform: { enforceBusMaster: false } }],
    ['platform', { platform: {} }, { platform: { hiddenFields: ['MSIX.CONTROL.tableSize'] } }],
    ['constant registers', { identity: 1 }, { identity: 2 }],
  ])('refuses the stream of another %s, and is as it was', async (_what, from, to) => {
    const [, vmm] = await used(face, from);
    await using _source = vmm;
    const stream = await saved(vmm);
    const [target, other] = await fresh(face, to);
    await using _target = other;
    const before = await seen(other);
    await expect(restored(other, stream)).rejects.toMatchObject({ name: 'VfioError', code: 'EINVAL' });
    await other.setMigrationState(S.running);
    expect(await seen(other)).toEqual(before);
    expect(target.count).toBe(5);
    expect(target.running).toBe(true);
  });

  it('refuses bytes that are too many, and a stream that nothing was written of', async () => {
    const [, vmm] = await used(face);
    await using _source = vmm;
    const stream = await saved(vmm);
    const [target, other] = await fresh(face);
    await using _target = other;
    await other.setMigrationState(S.resuming);
    await expect(other.setMigrationState(S.running)).rejects.toMatchObject({ code: 'EINVAL' });
    await other.writeMigrationData(stream);
    await expect(other.writeMigrationData(new Uint8Array(200))).rejects.toMatchObject({ code: 'EINVAL' });
    await other.setMigrationState(S.running);
    expect(target.count).toBe(5);
    await restored(other, stream);
    expect(target.count).toBe(77);
  });

  it('tells in bounded time that it did not stop, and goes on', async () => {
    const [source, vmm] = await used(face, { platform: { answersWithin: 50 } });
    await using _source = vmm;
    let stopAtLast = (): void => undefined;
    source.quiescing = new Promise((resolve) => (stopAtLast = resolve));
    await expect(vmm.setMigrationState(S.stopCopy)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    expect(await vmm.migrationState()).toBe(S.runningP2p);
    expect(source.device.state).toBe('running');
    stopAtLast();
    source.quiescing = Promise.resolve();
    await delay(0);
    expect(source.running).toBe(true);
    expect((await saved(vmm)).length).toBeGreaterThan(0x1000);
  });

  it('stays stopped when it was not saved in time, and goes on when it is told to', async () => {
    const device = await plainMigratable({ save: () => new Promise<never>(() => undefined) }, { answersWithin: 50 });
    await using vmm = await openFace(face, device);
    await expect(vmm.setMigrationState(S.stopCopy)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    expect([await vmm.migrationState(), device.state]).toEqual([S.stop, 'quiesced']);
    await vmm.setMigrationState(S.running);
    expect(device.state).toBe('running');
    await device.close();
  });

  it.each([
    ['at once', {}],
    ['too late', { answersWithin: 1 }],
  ])('fails when its vendor cannot quiesce, told %s, and its client stays', async (when, platform) => {
    let reject = (): void => undefined;
    const late = (): Promise<void> =>
      new Promise((_, fails) => {
        reject = () => {
          fails(new Error('no'));
        };
      });
    const [quiesce, code] = when === 'at once' ? [() => Promise.reject(new Error('no')), 'EIO'] : [late, 'ETIMEDOUT'];
    const device = await plainMigratable({}, platform, quiesce);
    await using vmm = await openFace(face, device);
    await expect(vmm.setMigrationState(S.stop)).rejects.toMatchObject({ code });
    reject();
    await delay(0);
    expect([device.state, device.failure?.path]).toEqual(['failed', 'quiesce']);
    expect(await vmm.migrationState()).toBe(S.error);
    await device.close();
  });

  it('carries as much payload as its vendor takes, to the byte, early bytes included', async () => {
    const of = (early: number, late: number, maximumSize: number): Promise<MdevDevice> =>
      plainMigratable({ maximumSize, preCopy: () => new Uint8Array(early), save: () => new Uint8Array(late) });
    /** The stream of 4 early bytes and 7 late ones. */
    const source = await openFace(face, await of(4, 7, 11));
    await source.setMigrationState(S.preCopy);
    const early = await readAll(source);
    await source.setMigrationState(S.stopCopy);
    const stream = Buffer.concat([early, await readAll(source)]);
    await source.close();
    for (const [maximumSize, code] of [
      [11, undefined],
      [10, 'EINVAL'],
    ] as const) {
      await using target = await openFace(face, await of(0, 0, maximumSize));
      const outcome = restored(target, stream).catch((error: unknown) => error);
      if (code === undefined) expect(await outcome).toBeUndefined();
      else expect(await outcome).toMatchObject({ code });
    }
    // The source does not give what no destination takes.
    await using short = await openFace(face, await of(4, 7, 10));
    await short.setMigrationState(S.preCopy);
    await expect(short.setMigrationState(S.stopCopy)).rejects.toMatchObject({ code: 'EIO' });
    expect(await short.migrationState()).toBe(S.preCopyP2p);
    await using greedy = await openFace(face, await of(11, 0, 10));
    await expect(greedy.setMigrationState(S.preCopy)).rejects.toMatchObject({ code: 'EIO' });
  });

  it('takes a stream of a release that did not have an attribute yet, as one with its default', async () => {
    const stream = await saved((await used(face))[1]);
    const size = new DataView(stream.buffer, stream.byteOffset).getUint32(8, true);
    const header = Buffer.from(stream.subarray(16, 16 + size)).toString();
    const older = Buffer.from(stream);
    // As long as before: JSON takes blanks.
    older.write(header.replace('"lanes":2', '         '), 16);
    expect(older.equals(stream)).toBe(false);
    const [target, other] = await fresh(face);
    await restored(other, older);
    expect(target.count).toBe(77);
    await other.close();
    const [, otherwise] = await fresh(face, { attributes: { lanes: 3 } });
    await expect(restored(otherwise, older)).rejects.toMatchObject({ code: 'EINVAL' });
    await otherwise.close();
  });

  it('runs after a reset, whatever its state was', async () => {
    const [source, vmm] = await used(face);
    await using _source = vmm;
    for (const state of [S.stop, S.stopCopy, S.resuming, S.preCopy, S.runningP2p, S.preCopyP2p]) {
      await vmm.setMigrationState(state);
      await vmm.reset();
      expect(await vmm.migrationState()).toBe(S.running);
      expect(source.running).toBe(true);
      expect(source.device.state).toBe('running');
      await expect(vmm.readMigrationData(1)).rejects.toMatchObject({ code: 'EINVAL' });
      await expect(vmm.writeMigrationData(Uint8Array.of(1))).rejects.toMatchObject({ code: 'EINVAL' });
    }
  });

  it('is in error while it is frozen, and runs when it is reset', async () => {
    const [source, vmm] = await used(face);
    await using _source = vmm;
    await vmm.setMigrationState(S.stop);
    source.context.freeze(new Error('a parity error'));
    expect(await vmm.migrationState()).toBe(S.error);
    await expect(vmm.setMigrationState(S.running)).rejects.toMatchObject({ code: 'EINVAL' });
    await vmm.reset();
    expect(await vmm.migrationState()).toBe(S.running);
    expect(source.device.state).toBe('running');
    expect(source.running).toBe(true);
  });

  it('tells EIO when its vendor cannot save, and goes on where it was', async () => {
    const [source, vmm] = await used(face);
    await using _source = vmm;
    source.onSave = () => {
      throw new Error('out of ideas');
    };
    await expect(vmm.setMigrationState(S.stopCopy)).rejects.toMatchObject({ code: 'EIO' });
    expect(await vmm.migrationState()).toBe(S.stop);
    await vmm.setMigrationState(S.running);
    expect(source.running).toBe(true);
  });

  it('runs again when its client leaves', async () => {
    const [source, vmm] = await used(face);
    await vmm.setMigrationState(S.stopCopy);
    await vmm.close();
    await expect.poll(() => source.device.state).toBe('created');
    expect(source.running).toBe(true);
    await using next = await openFace(face, source.device);
    expect(await next.migrationState()).toBe(S.running);
    expect(await next.readRegister(0, At.slot, 4)).toBe(0x1000);
  });
});

describe('the stream of a device', () => {
  /** Gives a device a stream that it must refuse. */
  async function refusing(target: Counter, vmm: VfioDevice, stream: Uint8Array): Promise<void> {
    const error: unknown = await restored(vmm, stream, 4096).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ name: 'VfioError', code: 'EINVAL' });
    const cause = error instanceof Error ? error.cause : undefined;
    expect(cause).toBeInstanceOf(MdevError);
    await vmm.setMigrationState(S.running);
    expect(target.device.failure).toBeUndefined();
    expect(target.count).toBe(5);
  }

  it('is refused when it is cut off anywhere, and leaves the device as it was', async () => {
    const [, vmm] = await used('in this process');
    await using _source = vmm;
    const stream = await saved(vmm);
    const [target, other] = await fresh('in this process');
    await using _target = other;
    const before = await seen(other);
    // Every byte of header and records' fronts and of what is behind the last one; a sample of the long state.
    const headerEnd = 16 + new DataView(stream.buffer, stream.byteOffset).getUint32(8, true);
    for (let length = 0; length < stream.length; length++) {
      if (length > headerEnd + 40 && length < stream.length - 40 && length % 97 !== 0) continue;
      await refusing(target, other, stream.subarray(0, length));
    }
    expect(await seen(other)).toEqual(before);
    await restored(other, stream);
    expect(target.count).toBe(77);
  });

  it('is refused or taken, whatever garbage it holds; nothing else happens', async () => {
    const [, vmm] = await used('in this process');
    await using _source = vmm;
    const stream = await saved(vmm);
    const mutation = fc.record({
      at: fc.oneof(
        fc.nat(stream.length - 1),
        fc.nat(1200),
        fc.integer({ min: stream.length - 40, max: stream.length - 1 }),
      ),
      value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
    });
    const [target, other] = await fresh('in this process');
    await using _target = other;
    const whole = await saved(other);
    await other.setMigrationState(S.running);
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(mutation, { minLength: 1, maxLength: 6 }).map((mutations) => {
        const bytes = Uint8Array.from(stream);
        for (const { at, value } of mutations) bytes[at] = value;
        return bytes;
      }),
      fc
        .record({ from: fc.nat(stream.length), to: fc.nat(stream.length), by: fc.nat(64) })
        .map(({ by, from, to }) => Buffer.concat([stream.subarray(0, from), new Uint8Array(by), stream.subarray(to)])),
    );
    await fc.assert(
      fc.asyncProperty(garbage, fc.integer({ min: 1, max: 9000 }), async (bytes, piece) => {
        const error: unknown = await restored(other, bytes, piece).then(
          () => undefined,
          (caught: unknown) => caught,
        );
        if (error === undefined) {
          // It was another state, no garbage: back to the own one.
          await restored(other, whole);
        } else {
          expect(error).toMatchObject({ name: 'VfioError', code: 'EINVAL' });
          await other.setMigrationState(S.running);
        }
        expect(target.device.failure).toBeUndefined();
        expect(await saved(other)).toEqual(whole);
        await other.setMigrationState(S.running);
      }),
      { numRuns: 100 },
    );
  });

  it('tells the operator why it is refused', async () => {
    const [, vmm] = await used('in this process');
    await using _source = vmm;
    const stream = await saved(vmm);
    const target = await counter({ id: 'abacus' });
    const [near, far] = socketPair();
    const server = serve(target.device, { fd: far });
    const told: string[] = [];
    server.on('refused', (_client, message) => told.push(message));
    await using other = await connect({ fd: near });
    await expect(restored(other, stream)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(told).toEqual([
      'migrationDataWrite refused with EINVAL: migration stream: it is of type "acme-counter", expected acme-abacus',
    ]);
  });
});
