import { readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as immediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import { closeFd } from '../../src/native/binding.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import {
  decodeRegionIoFd,
  decodeRegionIoFds,
  joined,
  longs,
  REGION_IO_FD_SIZE,
  type RegionIoFd,
  words,
} from '../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../src/vfio-user/protocol/version.ts';
import { Bench, openFiles, settle, until } from '../vfio-user/support/bench.ts';
import { fillFiles } from '../vfio-user/support/fill-files.ts';
import { errorReply, type RawPeer } from '../vfio-user/support/raw-peer.ts';
import { ABSENT_REGION, LARGE_REGION, Offset } from '../vfio-user/support/test-device.ts';

const { EINVAL } = constants.errno;
const command = Command.deviceGetRegionIoFds;

function request(argsz: number, index = 0, flags = 0, count = 0): Uint8Array {
  return words(argsz, flags, index, count);
}

/** A client that takes `fds` file descriptors in a message. */
async function client(bench: Bench, fds = 16): Promise<RawPeer> {
  const peer = bench.peer();
  await peer.ask(
    { command: Command.version },
    writeVersion({ major: 0, minor: 0, capabilities: { max_msg_fds: fds } }),
  );
  return peer;
}

/** Six bells at SCRATCH, one a word. */
function sixBells(bench: Bench): void {
  for (let n = 0; n < 6; ++n) {
    bench.device.ioEventFds.push({ region: 0, offset: Offset.scratch + 8 * n, size: 8, datamatch: BigInt(n + 1) });
  }
}

interface Bells {
  readonly entries: readonly RegionIoFd[];
  readonly fds: readonly number[];
}

async function bellsOf(peer: RawPeer, index = 0): Promise<Bells> {
  const reply = await peer.ask({ command }, request(65_536, index));
  const front = decodeRegionIoFds(reply?.body ?? new Uint8Array(0));
  if (reply === undefined || front === undefined) throw new Error('no reply');
  expect(front).toEqual({
    argsz: reply.body.length,
    flags: 0,
    index,
    count: (reply.body.length - 16) / REGION_IO_FD_SIZE,
  });
  const entries = Array.from({ length: front.count }, (_, n) => decodeRegionIoFd(reply.body, n));
  return { entries: entries.filter((entry) => entry !== undefined), fds: reply.fds ?? [] };
}

function ring(fd: number | undefined, times = 1n): void {
  writeSync(fd ?? -1, longs(times));
}

function word(bench: Bench, index: number): bigint {
  return bench.device.registers.SCRATCH[index]?.WORD.number ?? -1n;
}

describe('GET_REGION_IO_FDS', () => {
  it.each([
    ['F1: a flag', request(4096, 0, 1)],
    ['F2: a count', request(4096, 0, 0, 1)],
    ['F3: argsz 15', request(15)],
    ['F4: argsz of more than a message', request((1 << 20) + 1)],
    ['F5: region 512', request(4096, 512)],
    ['F6: a region that is not there', request(4096, ABSENT_REGION)],
    ['15 bytes', request(4096).subarray(0, 15)],
    ['no body', new Uint8Array(0)],
  ])('refuses %s', async (_what, body) => {
    await using bench = new Bench();
    sixBells(bench);
    const peer = await client(bench);
    expect(await peer.ask({ command }, body)).toEqual(errorReply(command, EINVAL));
  });

  it('F7: tells of a region without any that there are none', async () => {
    await using bench = new Bench();
    sixBells(bench);
    const peer = await client(bench);
    const reply = await peer.ask({ command }, request(512, LARGE_REGION));
    expect(reply?.body).toEqual(words(16, 0, LARGE_REGION, 0));
    expect(reply?.fds).toBeUndefined();
  });

  // The C implementation's counter reads 10 after a write of 10. Here the eventfd is a semaphore (EFD_SEMAPHORE) whose count is of writes: each is one, whatever was added.
  it('F8: gives an eventfd for each, which counts', async () => {
    await using bench = new Bench();
    sixBells(bench);
    const { entries, fds } = await bellsOf(await client(bench));
    expect(entries).toHaveLength(6);
    expect(fds).toHaveLength(6);
    for (const fd of fds) {
      ring(fd, 10n);
      const one = new Uint8Array(8);
      expect(readSync(fd, one)).toBe(8);
      expect(one).toEqual(longs(1n));
    }
  });

  it('F9: with an argsz that is just enough; the entries are the specification’s 40 bytes, in the device’s order', async () => {
    await using bench = new Bench();
    sixBells(bench);
    bench.device.ioEventFds.splice(1, 4, { region: 0, offset: Offset.hooked, size: 4 });
    const peer = await client(bench);
    const reply = await peer.ask({ command }, request(16 + 3 * 40));
    expect(reply?.fds).toHaveLength(3);
    expect(reply?.body).toEqual(
      joined(
        words(16 + 3 * 40, 0, 0, 3),
        ...[longs(BigInt(Offset.scratch), 8n), words(0, 0, 1, 0), longs(1n)],
        ...[longs(BigInt(Offset.hooked), 4n), words(1, 0, 0, 0), longs(0n)],
        ...[longs(BigInt(Offset.scratch + 40), 8n), words(2, 0, 1, 0), longs(6n)],
      ),
    );
  });

  it.each([16, 16 + 6 * 40 - 1])('F10: tells how much it needs, and gives nothing, when argsz is %i', async (argsz) => {
    await using bench = new Bench();
    sixBells(bench);
    const reply = await (await client(bench)).ask({ command }, request(argsz));
    expect(reply?.body).toEqual(words(16 + 6 * 40, 0, 0, 6));
    expect(reply?.fds).toBeUndefined();
  });

  // Where the C implementation lets two entries share an eventfd, or have none, the device could not tell which write was meant.
  it('F11, F12: each entry has an eventfd of its own, which stays the same', async () => {
    await using bench = new Bench();
    sixBells(bench);
    const peer = await client(bench);
    const { entries, fds } = await bellsOf(peer);
    expect(entries.map(({ fdIndex }) => fdIndex)).toEqual([0, 1, 2, 3, 4, 5]);
    const again = await bellsOf(peer);
    ring(again.fds[2]);
    ring(fds[2]);
    await until(() => word(bench, 2) === 3n, 'the write');
    expect(again.entries).toEqual(entries);
  });

  it('keeps what it has made when there are too few file descriptors for all, and gives it the next time', async () => {
    const opened: number[] = [];
    for (const rooms of [[], [1, 3, 4]]) {
      await using bench = new Bench();
      sixBells(bench);
      const peer = await client(bench);
      await settle();
      const before = openFiles();
      for (const room of rooms) {
        {
          using _files = fillFiles(room);
          expect(await peer.ask({ command }, request(4096))).toEqual(errorReply(command, constants.errno.EMFILE));
        }
        expect(openFiles()).toBeGreaterThan(before);
      }
      const { entries, fds } = await bellsOf(peer);
      expect([entries.length, fds.length]).toEqual([6, 6]);
      // No more of them than if nothing had failed.
      opened.push(openFiles() - before);
      for (const fd of fds) ring(fd);
      await until(() => word(bench, 5) === 6n, 'the writes');
      expect(entries.map((_, n) => word(bench, n))).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    }
    expect(opened[1]).toBe(opened[0]);
  });

  it('shows no more than the client takes in one message', async () => {
    await using bench = new Bench();
    sixBells(bench);
    const { entries, fds } = await bellsOf(await client(bench, 4));
    expect(entries).toHaveLength(4);
    expect(fds).toHaveLength(4);
    await using other = new Bench();
    sixBells(other);
    const none = await (await client(other, 0)).ask({ command }, request(4096));
    expect(none?.fds).toBeUndefined();
  });
});

describe('an ioeventfd', () => {
  it('is a write, one for each count, with the value that it matches', async () => {
    await using bench = new Bench();
    const values: number[] = [];
    bench.device.onWrite = (value) => values.push(value);
    bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4, datamatch: 0xdead_beefn });
    bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4 });
    const { fds } = await bellsOf(await client(bench));
    ring(fds[0], 3n);
    await until(() => values.length === 3, 'the writes');
    ring(fds[1]);
    await until(() => values.length === 4, 'the write');
    expect(values).toEqual([0xdead_beef, 0xdead_beef, 0xdead_beef, 0]);
  });

  it('writes as many bytes as the access has', async () => {
    await using bench = new Bench();
    const sizes = [1, 2, 4, 8] as const;
    for (const [n, size] of sizes.entries()) {
      bench.device.ioEventFds.push({
        region: 0,
        offset: Offset.scratch + 8 * n,
        size,
        datamatch: (1n << BigInt(8 * size)) - 1n,
      });
    }
    const { fds } = await bellsOf(await client(bench));
    for (const fd of fds) ring(fd);
    await until(() => word(bench, 3) !== 0n, 'the writes');
    expect(sizes.map((_, n) => word(bench, n))).toEqual([0xffn, 0xffffn, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  });

  it('whose counter is full keeps nobody else waiting, and ends with its client', async () => {
    await using bench = new Bench();
    let writes = 0;
    bench.device.onWrite = () => ++writes;
    bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4 });
    const peer = await client(bench);
    const [fd] = (await bellsOf(peer)).fds;
    ring(fd, 0xffff_ffff_ffff_fffen);
    for (let n = 0; n < 20; ++n) {
      const before: number = writes;
      expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
      await until(() => writes > before, 'more writes');
    }
    const kept = peer.takeFds();
    peer.close();
    await until(() => bench.device.holder === undefined, 'the end');
    const at: number = writes;
    await settle();
    expect(writes).toBe(at);
    for (const each of kept) closeFd(each);
  });

  it('and many others that are full share a turn, which ends by time', async () => {
    await using bench = new Bench();
    const many = 40;
    for (let n = 0; n < many; ++n) {
      bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4, datamatch: BigInt(n + 1) });
    }
    let writes = 0;
    bench.device.onWrite = () => {
      writes += 1;
      const end = performance.now() + 1;
      while (performance.now() < end);
      // Which moves the clock of the loop.
      clearTimeout(setTimeout(() => undefined, 1));
    };
    const peer = await client(bench, many);
    const { fds } = await bellsOf(peer);
    expect(fds).toHaveLength(many);
    for (const fd of fds) ring(fd, 1000n);
    let most = 0;
    for (let turns = 0; turns < 20 || writes < 100; ++turns) {
      const before = writes;
      await immediate();
      most = Math.max(most, writes - before);
    }
    expect(most).toBeLessThanOrEqual(16);
  });

  it('behind others that never end gets its turn, and so do those', async () => {
    await using bench = new Bench();
    const busy = 6;
    for (let n = 0; n <= busy; ++n) {
      bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4, datamatch: BigInt(n) });
    }
    const writes = Array.from({ length: busy + 1 }, () => 0);
    bench.device.onWrite = (value) => {
      writes[value] = (writes[value] ?? 0) + 1;
      // Longer than all of them have.
      const end = performance.now() + 2;
      while (performance.now() < end);
    };
    const { fds } = await bellsOf(await client(bench));
    for (const fd of fds.slice(0, busy)) ring(fd, 1_000_000n);
    await until(() => writes[0] !== 0, 'the first');
    ring(fds[busy], 3n);
    await until(() => writes[busy] === 3, 'the last');
    await until(() => writes.every((count) => count > 0), 'all others');
    const before = [...writes];
    await until(() => writes.every((count, n) => n === busy || count > (before[n] ?? 0)), 'more of them');
    expect(writes[busy]).toBe(3);
  });

  it('may end its own connection, or fail, and the next client has its own', async () => {
    await using bench = new Bench();
    bench.device.ioEventFds.push({ region: 0, offset: Offset.hooked, size: 4, datamatch: 1n });
    const peer = await client(bench);
    const [fd] = (await bellsOf(peer)).fds;
    bench.device.onWrite = () => {
      throw new Error('a mistake of the vendor');
    };
    ring(fd, 2n);
    await until(() => bench.device.failures.length === 2, 'the failures');
    bench.device.onWrite = () => {
      bench.device.holder?.onRevoked?.('by the hook');
    };
    ring(fd, 1000n);
    await peer.closed;
    const values: number[] = [];
    bench.device.onWrite = (value) => values.push(value);
    const next = await bellsOf(await client(bench));
    ring(fd);
    ring(next.fds[0]);
    await until(() => values.length > 0, 'the write');
    await settle();
    expect(values).toEqual([1]);
  });

  it('obeys what the guest set: without memory decode nothing is written', async () => {
    await using bench = new Bench();
    sixBells(bench);
    const { fds } = await bellsOf(await client(bench));
    bench.device.core.setEnforceMemoryDecode(true);
    const refused = bench.device.core.statistics().refused;
    ring(fds[0]);
    await until(() => bench.device.core.statistics().refused > refused, 'the refusal');
    expect(word(bench, 0)).toBe(0n);
  });

  it('leaves no descriptor open', async () => {
    await using bench = new Bench();
    sixBells(bench);
    await settle();
    const before = openFiles();
    const peer = await client(bench);
    await bellsOf(peer);
    peer.close();
    await until(() => bench.device.holder === undefined, 'the end');
    await settle();
    expect(openFiles()).toBe(before);
  });
});
