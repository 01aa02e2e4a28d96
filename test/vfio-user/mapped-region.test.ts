import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { connect, type MappedRegion, memoryFile, serve } from '../../src/vfio-user/index.ts';
import { At, PAGE, regionCard } from '../mdev/support/region-card.ts';
import { Bench, openFiles } from './support/bench.ts';
import { FACES, openFace } from './support/faces.ts';

const COMMAND = 4;

/** The byte that is mapped for an offset of the region. */
function at({ areas }: MappedRegion, offset: number): { value: number } {
  const area = areas.find((one) => offset >= one.offset && offset - one.offset < one.size);
  if (area === undefined) throw new Error(`nothing is mapped at ${offset}`);
  return {
    get value() {
      return area.bytes[offset - area.offset] ?? NaN;
    },
    set value(byte) {
      area.bytes[offset - area.offset] = byte;
    },
  };
}

describe.each(FACES)('a region mapped %s', (face) => {
  it('is the memory that the device has', async () => {
    const { device, context } = await regionCard();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(At.config, COMMAND, 2, 2);
    const frame = await vmm.mapRegion(At.frame);
    expect(frame.areas.map(({ bytes, offset, size }) => [offset, size, bytes.length])).toEqual([[0, 0x4000, 0x4000]]);
    expect(at(frame, 1).value).toBe(2);
    at(frame, 0x3fff).value = 0x42;
    expect([context.memory.bar2[0x3fff], ...(await vmm.readRegion(At.frame, 0x3fff, 1))]).toEqual([0x42, 0x42]);
    await vmm.writeRegion(At.frame, PAGE, Uint8Array.of(7));
    expect(at(frame, PAGE).value).toBe(7);

    const control = await vmm.mapRegion(At.control);
    expect(control.areas.map(({ offset, size }) => [offset, size])).toEqual([
      [0x2000, 0x1000],
      [0x8000, 0x8000],
    ]);
    at(control, 0xffff).value = 9;
    at(control, 0x2000).value = 8;
    expect([
      ...(await vmm.readRegion(At.control, 0xffff, 1)),
      ...(await vmm.readRegion(At.control, 0x2000, 1)),
    ]).toEqual([9, 8]);
    expect(control.cache).toBe(face === 'in this process' ? 'writeCombining' : undefined);
    await device.close();
  });

  it('keeps what is stored to itself where the region is read only', async () => {
    const { device, context } = await regionCard();
    await using vmm = await openFace(face, device);
    const log = await vmm.mapRegion(At.log);
    expect(log.areas).toHaveLength(2);
    context.memory.region9[0x2001] = 5;
    expect(at(log, 0x2001).value).toBe(5);
    at(log, 0x1000).value = 1;
    expect(context.memory.region9[0x1000]).toBe(0);
    await device.close();
  });

  it('stays while accesses of its region fail: memory decode is off, or the device is frozen', async () => {
    const { device, context } = await regionCard();
    await using vmm = await openFace(face, device);
    await vmm.writeRegister(At.config, COMMAND, 2, 2);
    const frame = await vmm.mapRegion(At.frame);
    await vmm.writeRegister(At.config, COMMAND, 2, 0);
    await expect(vmm.readRegion(At.frame, 1, 1)).rejects.toMatchObject({ code: 'EIO' });
    expect(at(frame, 1).value).toBe(2);
    await vmm.writeRegister(At.config, COMMAND, 2, 2);

    expect(device.error({ uncorrectable: 'completerAbort' })).toMatchObject({ isolated: true });
    await vmm.writeRegion(At.frame, 1, Uint8Array.of(0x77));
    expect([...(await vmm.readRegion(At.frame, 1, 1)), at(frame, 1).value]).toEqual([0xff, 2]);
    // A store through the mapping cannot be dropped: it is in the memory, and nothing of the device runs that could look at it.
    at(frame, 1).value = 0x42;
    await vmm.reset();
    expect(device.state).toBe('running');
    await vmm.writeRegister(At.config, COMMAND, 2, 2);
    expect([context.memory.bar2[1], ...(await vmm.readRegion(At.frame, 1, 1))]).toEqual([0x42, 0x42]);

    // Who wants nothing of it left switches power off and on.
    device.error({ uncorrectable: 'completerAbort' });
    at(frame, 3).value = 9;
    device.reset('cold');
    expect([at(frame, 1).value, at(frame, 3).value, context.memory.bar2[3]]).toEqual([2, 0, 0]);
    await device.close();
  });

  it('outlives the device', async () => {
    const { device } = await regionCard();
    const vmm = await openFace(face, device);
    const frame = await vmm.mapRegion(At.frame);
    await vmm.close();
    await device.close();
    at(frame, 0).value = 77;
    expect(at(frame, 0).value).toBe(77);
    await expect(vmm.mapRegion(At.frame)).rejects.toMatchObject({ name: 'VfioError' });
  });

  it('is refused when there is nothing to map', async () => {
    const { device } = await regionCard();
    await using vmm = await openFace(face, device);
    for (const index of [At.tiny, At.config, At.doorbells, 1, 11, 4096]) {
      await expect(vmm.mapRegion(index), `region ${index}`).rejects.toMatchObject({
        name: 'VfioError',
        code: 'EINVAL',
      });
    }
    await device.close();
  });
});

/** A process that has mapped a region of a served device. */
function mappingClient(
  socketPath: string,
  index: number,
): AsyncDisposable & { readonly ask: (line: string) => Promise<string> } {
  const script = fileURLToPath(new URL('./support/mapping_client.py', import.meta.url));
  const child = spawn('python3', [script, socketPath, String(index)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    ask: async (line) => {
      child.stdin.write(`${line}\n`);
      const next = await lines.next();
      if (next.done === true) throw new Error('the client has ended');
      return next.value;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

describe('another process', () => {
  it('stores what the device sees, sees what the device stores, and cannot take the memory away', async () => {
    const { device, context } = await regionCard();
    const directory = mkdtempSync(join(tmpdir(), 'mdev-map-'));
    const socketPath = join(directory, 'card.sock');
    await using _server = serve(device, { socketPath });
    {
      await using control = mappingClient(socketPath, At.control);
      expect(await control.ask('info')).toBe('80 15 8192+4096,32768+32768 1');
    }
    {
      await using frame = mappingClient(socketPath, At.frame);
      expect(await frame.ask('info')).toBe('32 7 0+16384 1');
      expect(await frame.ask('load 1')).toBe('2');
      expect(await frame.ask('store 4097 200')).toBe('stored');
      expect(context.memory.bar2[4097]).toBe(200);
      context.memory.bar2[16_383] = 99;
      expect(await frame.ask('load 16383')).toBe('99');
      expect(await frame.ask('shrink')).toBe('EPERM');
    }
    {
      await using log = mappingClient(socketPath, At.log);
      expect(await log.ask('info')).toBe('96 13 4096+4096,8192+4096 2');
      context.memory.region9[8192] = 3;
      expect(await log.ask('load 8192')).toBe('3');
      expect(await log.ask('store 8192 4')).toBe('EACCES');
    }
    // The same file in this process, while another client's mapping of it is gone.
    const client = await connect({ socketPath });
    const frame = await client.mapRegion(At.frame);
    expect(at(frame, 4097).value).toBe(200);
    await client.close();
    await device.close();
    rmSync(directory, { recursive: true });
  });
});

/** How many of this process's descriptors refer to the file of `fd`. Others may come and go with what earlier tests left. */
function descriptorsOf(fd: number): number {
  openFiles();
  const { dev, ino } = fstatSync(fd);
  return readdirSync('/proc/self/fd').filter((number) => {
    const found = statSync(`/proc/self/fd/${number}`, { throwIfNoEntry: false });
    return found?.dev === dev && found.ino === ino;
  }).length;
}

describe('a server that does not mean well', () => {
  const whole = [{ offset: 0, size: 0x4000 }];

  it.each<[string, string, { seal?: boolean; areas?: { offset: number; size: number }[]; files?: number }]>([
    ['a file that may shrink', 'EPERM', { seal: false }],
    ['an area outside of the region', 'EPROTO', { areas: [{ offset: 0x3000, size: 0x2000 }] }],
    ['an area outside of any region', 'EPROTO', { areas: [{ offset: 2 ** 52, size: 0x1000 }] }],
    ['an area of nothing', 'EINVAL', { areas: [{ offset: 0, size: 0 }] }],
    ['an area within a page', 'EINVAL', { areas: [{ offset: 0x800, size: 0x1000 }] }],
    ['an area that the file does not have', 'EINVAL', { areas: [{ offset: 0x2000, size: 0x2000 }] }],
    ['257 areas', 'E2BIG', { areas: Array.from({ length: 257 }, () => ({ offset: 0, size: 0x1000 })) }],
    ['another number of files', 'EPROTO', { areas: [...whole, ...whole, ...whole], files: 2 }],
  ])('cannot have %s mapped', async (_what, code, { areas, files = 1, seal = true }) => {
    await using bench = new Bench();
    const file = memoryFile(0x3000, { seal });
    bench.device.regions[3] = {
      size: 0x4000,
      flags: 15,
      capabilities: { mmapAreas: areas ?? [{ offset: 0, size: 0x1000 }] },
      map: { areas: [], fds: Array.from({ length: files }, () => file.fd), cache: 'uncached' },
    };
    const client = await bench.client();
    const before = descriptorsOf(file.fd);
    await expect(client.mapRegion(3)).rejects.toMatchObject({ name: 'VfioError', code });
    expect(descriptorsOf(file.fd)).toBe(before);
    await expect(client.info()).resolves.toMatchObject({ regions: 9 });
    file.close();
  });
});
