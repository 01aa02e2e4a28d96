import { existsSync, readdirSync, readlinkSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import {
  dirtyBitmapBytes,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
} from '../../../src/mdev/dma/dma-logging-data.ts';
import { MigrationState as S, VfioIrq } from '../../../src/mdev/index.ts';
import { DeviceFeature } from '../../../src/mdev/vfio/features.ts';
import { closeFd } from '../../../src/native/binding.ts';
import { connect, eventfd, memoryFile } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { At, seen, VECTORS } from '../../mdev/support/migratable.ts';
import { uncaughtDuring } from '../../mdev/support/uncaught.ts';
import { openFiles, until } from '../support/bench.ts';
import { offered, outcome, Relay } from './support.ts';

const CONFIG = 7;
const MSIX = VfioIrq.msix;

/** Descriptors of this process, but those of regions' memory, which go when the memory is collected. */
function descriptors(): number {
  openFiles();
  return readdirSync('/proc/self/fd').filter((number) => !linkOf(number).includes('mdev-region')).length;
}

function linkOf(number: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${number}`);
  } catch {
    return '';
  }
}

describe('a handover', () => {
  it('has happened when its word is sent, whatever a listener of the old server makes of it', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const old = relay.server;
    for (const event of ['handedOver', 'closed'] as const) {
      old.on(event, () => {
        throw new Error(event);
      });
    }
    const uncaught = await uncaughtDuring(() => relay.handOver());
    expect(uncaught).toEqual([new Error('handedOver'), new Error('closed')]);
    expect(old.isHandedOver).toBe(true);
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it('moves what the guest sees, what the device hides, and what both have of each other', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    await client.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
    await client.writeRegister(0, At.count, 4, 41);
    for (let slot = 0; slot < 16; slot++) await client.writeRegister(0, At.slot + 8 * slot, 4, 0xa0 + slot);
    // The first half of a register that takes effect with its last byte.
    await client.writeRegister(0, At.limit, 4, 0x1111);
    const memory = memoryFile(0x4000);
    await client.dmaMap({ iova: 0x1000n, size: 0x1000n, file: memory });
    await client.dmaMap({ iova: 0x2000n, size: 0x1000n, file: memory, offset: 0x3000n });
    const own = new Uint8Array(0x1000);
    await client.dmaMap({ iova: 0x9000n, memory: own });
    const lines = Array.from({ length: VECTORS }, () => eventfd());
    await client.setIrqs({ index: MSIX, eventfds: lines.map(({ fd }, vector) => (vector === 5 ? -1 : fd)) });
    await client.writeRegister(0, At.raise, 4, 2 + 5);
    const mapped = await client.mapRegion(2);
    mapped.areas[0]?.bytes.set([9, 8, 7], 100);
    const before = await seen(client);
    const first = relay.counter;

    await relay.handOver();
    expect(first.device.state).toBe('closed');
    expect(relay.counter.count).toBe(41);
    expect(await seen(client)).toEqual(before);
    // The memory of the region is still the one that the client has mapped.
    mapped.areas[0]?.bytes.set([6], 101);
    expect([...(await client.readRegion(2, 100, 3))]).toEqual([9, 6, 7]);
    await client.writeRegister(2, 102, 1, 5);
    expect(mapped.areas[0]?.bytes[102]).toBe(5);
    await client.writeRegister(0, At.limit + 4, 4, 0x2222);
    expect(await client.readRegister64(0, At.limit)).toBe(0x2222_0000_1111n);

    const { dma } = relay.counter.context;
    await dma.write(0x1ffcn, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    expect([...new Uint8Array(memory.buffer, 0xffc, 4)]).toEqual([1, 2, 3, 4]);
    expect([...new Uint8Array(memory.buffer, 0x3000, 4)]).toEqual([5, 6, 7, 8]);
    await dma.write(0x9010n, Uint8Array.of(7));
    expect(own[0x10]).toBe(7);

    await client.writeRegister(0, At.raise, 4, 2 + 3);
    expect(lines[3]?.read()).toBe(1);
    // It was latched in the first process, and fires when it gets its eventfd from the second.
    expect(lines[5]?.read()).toBe(0);
    await client.setIrqs({ index: MSIX, start: 5, eventfds: [lines[5]?.fd ?? -1] });
    expect(lines[5]?.read()).toBe(1);
    for (const line of lines) line.close();
  });

  it('keeps the listening socket, and who is refused', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await relay.handOver();
    await expect(relay.client()).rejects.toMatchObject({ code: 'EBUSY' });
    await client.close();
    const next = await relay.client();
    expect(await next.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
    await next.close();
    await relay.server.close();
    expect(existsSync(relay.socketPath)).toBe(false);
  });

  it('goes without a client, and keeps the state for the next one', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    await client.writeRegister(0, At.count, 4, 3);
    await client.close();
    await until(() => relay.server.client === undefined, 'the client going');
    await relay.handOver();
    expect(relay.counter.count).toBe(3);
    expect(await (await relay.client()).readRegister(CONFIG, At.command, 2)).toBe(6);
  });

  it('moves INTx with its mask, and a signal that has come for its unmask eventfd', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    const [line, unmask] = [eventfd(), eventfd()];
    await client.setIrqs({ index: VfioIrq.intx, eventfds: [line.fd] });
    await client.setIrqs({ index: VfioIrq.intx, action: 'unmask', eventfds: [unmask.fd] });
    await client.writeRegister(0, At.raise, 4, 1);
    expect(line.read()).toBe(1);
    await relay.handOver();
    expect(line.read()).toBe(0);
    unmask.signal();
    await until(() => line.read() > 0, 'INTx again');
    await relay.handOver();
    unmask.signal();
    await until(() => line.read() > 0, 'INTx once more');
    line.close();
    unmask.close();
  });

  it('moves the log of dirty pages', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    const file = memoryFile(0x40_0000);
    const range = { iova: 0x10_0000n, size: 0x40_0000n };
    await client.dmaMap({ ...range, file });
    const data = encodeDmaLoggingStart({ pageSize: 4096n, ranges: [range] });
    await client.feature({ index: DeviceFeature.dmaLoggingStart, set: true, data });
    const pages = [0, 1, 2, 63, 64, 700, 1023];
    for (const page of pages) {
      await relay.counter.context.dma.write(range.iova + BigInt(page) * 4096n, Uint8Array.of(1));
    }
    await relay.handOver();
    await relay.counter.context.dma.write(range.iova + 5n * 4096n, Uint8Array.of(1));
    const question = encodeDmaLoggingReport({ ...range, pageSize: 4096n });
    const replySize = question.length + Number(dirtyBitmapBytes(range.size, 4096n));
    const report = { index: DeviceFeature.dmaLoggingReport, get: true, data: question, replySize } as const;
    const bits = (await client.feature(report)).subarray(question.length);
    const dirty = Array.from({ length: 1024 }, (_, page) => page).filter(
      (page) => (((bits[page >> 3] ?? 0) >> (page & 7)) & 1) === 1,
    );
    expect(dirty).toEqual([0, 1, 2, 5, 63, 64, 700, 1023]);
  });

  it('moves the twin socket', async () => {
    await using relay = await Relay.start();
    const client = await connect(
      { socketPath: relay.socketPath },
      { offer: { capabilities: { max_msg_fds: 16, twin_socket: { supported: true } } } },
    );
    await client.writeRegister(CONFIG, At.command, 2, 6);
    const own = new Uint8Array(0x1000).fill(3);
    await client.dmaMap({ iova: 0n, memory: own });
    for (let round = 0; round < 3; round++) {
      await relay.handOver();
      const found = new Uint8Array(4);
      await relay.counter.context.dma.read(16n, found);
      expect([...found]).toEqual([3, 3, 3, 3]);
    }
    await client.close();
  });

  it('leaves no file descriptor behind, on either side', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const lines = Array.from({ length: VECTORS }, () => eventfd());
    await client.setIrqs({ index: MSIX, eventfds: lines.map(({ fd }) => fd) });
    const files = Array.from({ length: 200 }, () => memoryFile(4096));
    for (const [index, file] of files.entries()) {
      await client.dmaMap({ iova: BigInt(index) * 0x10_0000n, size: 4096n, file });
    }
    await relay.handOver();
    const before = descriptors();
    for (let round = 0; round < 3; round++) {
      await relay.handOver();
      await expect(relay.handOver({ id: 'another' })).rejects.toThrow(/type/);
    }
    await until(() => descriptors() === before, 'the end of all descriptors');
    for (const one of [...lines, ...files]) one.close();
  });

  it('moves an instance that is frozen, which a reset mends there', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.writeRegister(CONFIG, At.command, 2, 6);
    relay.counter.device.error({ uncorrectable: 'malformedTlp' });
    await relay.handOver();
    expect(relay.counter.device.state).toBe('frozen');
    expect(await client.readRegister(0, At.cause, 4)).toBe(0xffff_ffff);
    await client.reset();
    expect(relay.counter.device.state).toBe('running');
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it.each([S.stop, S.stopCopy, S.resuming])('keeps telling a client in error that it is (state %i)', async (state) => {
    await using relay = await Relay.start();
    const client = await relay.client();
    await client.setMigrationState(state);
    relay.counter.device.error({ uncorrectable: 'malformedTlp' });
    expect(await client.migrationState()).toBe(S.error);
    await relay.handOver();
    expect([relay.counter.device.state, await client.migrationState()]).toEqual(['frozen', S.error]);
    await expect(client.setMigrationState(S.running)).rejects.toMatchObject({ code: 'EINVAL' });
    // Over and over.
    await relay.handOver();
    expect(await client.migrationState()).toBe(S.error);
    await client.reset();
    expect([relay.counter.device.state, await client.migrationState()]).toEqual(['running', S.running]);
    expect(relay.counter.running).toBe(true);
  });

  it('is refused before anything moves when the devices differ, and says what differs', async () => {
    await using relay = await Relay.start({ compatibility: 'a' });
    const client = await relay.client();
    const cases = [
      [{ compatibility: 'a', id: 'other' }, /of type "acme-counter", expected acme-other/],
      [{ compatibility: 'a', attributes: { lanes: 3 } }, /attribute "lanes" is "2", expected 3/],
      [{ compatibility: 'a', version: 4 }, /payload has version 3, expected 4/],
      [{ compatibility: 'b' }, /compatibility differs/],
    ] as const;
    let quiesced = false;
    relay.counter.device.on('state', () => {
      quiesced = true;
    });
    for (const [options, message] of cases) await expect(relay.handOver(options)).rejects.toThrow(message);
    expect(quiesced).toBe(false);
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
    await relay.handOver({ compatibility: 'a' });
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it('is refused while another one, or a migration, is under way', async () => {
    await using relay = await Relay.start();
    const client = await relay.client();
    const [near, far] = socketPair();
    const first = outcome(relay.server.handOver(near));
    const offer = await offered(far);
    await expect(relay.handOver()).rejects.toMatchObject({ code: 'ECANCELED' });
    await offer.refuse('changed my mind');
    expect((await first)?.message).toContain('changed my mind');

    await client.setMigrationState(1);
    await expect(relay.handOver()).rejects.toThrow(/being migrated by its client/);
    await client.setMigrationState(2);
    await relay.handOver();
    expect(await client.migrationState()).toBe(2);
  });

  it('refuses a device that cannot move, and a socket that is none', async () => {
    await using relay = await Relay.start();
    const [near, far] = socketPair();
    closeFd(far);
    expect((await outcome(relay.server.handOver(near)))?.code).toBe('ECANCELED');
    await relay.server.close();
    const [late, other] = socketPair();
    closeFd(other);
    expect((await outcome(relay.server.handOver(late)))?.code).toBe('EBUSY');
  });
});
