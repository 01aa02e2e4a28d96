import { fstatSync, ftruncateSync, readlinkSync, readSync, writeSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { closeFd, duplicateFd, eventfd, mapSealedFile, memoryFile, signalFd } from '../../src/native/binding.ts';

const EBADF = expect.objectContaining({ code: 'EBADF', syscall: 'close', errno: -9 }) as Error;

describe('memory file', () => {
  it('shares its memory with its descriptor', () => {
    const file = memoryFile(8192);
    const bytes = new Uint8Array(file.buffer);
    expect(file.size).toBe(8192);
    expect(bytes.length).toBe(8192);
    expect(readlinkSync(`/proc/self/fd/${file.fd}`)).toContain('memfd:');
    writeSync(file.fd, Uint8Array.of(1, 2, 3), 0, 3, 4096);
    expect(bytes.subarray(4096, 4100)).toEqual(Uint8Array.of(1, 2, 3, 0));
    bytes[0] = 9;
    const read = new Uint8Array(1);
    readSync(file.fd, read, 0, 1, 0);
    expect(read[0]).toBe(9);
    file.close();
    file.close();
    expect(file.fd).toBe(-1);
    // The memory outlives the descriptor.
    bytes[8191] = 1;
    expect(bytes[8191]).toBe(1);
  });

  it('cannot change its size unless asked to', () => {
    const sealed = memoryFile(4096);
    expect(() => {
      ftruncateSync(sealed.fd, 0);
    }).toThrow(/EPERM/);
    expect(() => {
      ftruncateSync(sealed.fd, 8192);
    }).toThrow(/EPERM/);
    sealed.close();
    const loose = memoryFile(4096, { seal: false });
    ftruncateSync(loose.fd, 8192);
    expect(fstatSync(loose.fd).size).toBe(8192);
    loose.close();
  });

  it.each([0, -1, 1.5, 2 ** 32 + 1, NaN])('refuses the size %s', (size) => {
    expect(() => memoryFile(size)).toThrow(RangeError);
  });

  it('takes 4 GiB', () => {
    const file = memoryFile(2 ** 32);
    expect(file.buffer.byteLength).toBe(2 ** 32);
    file.close();
  });
});

describe('a mapping of a sealed file', () => {
  it('shares what is stored, or keeps it', () => {
    const file = memoryFile(0x3000);
    const bytes = new Uint8Array(file.buffer);
    const shared = new Uint8Array(mapSealedFile(file.fd, 0x1000, 0x2000, true));
    const kept = new Uint8Array(mapSealedFile(file.fd, 0x1000, 0x2000, false));
    file.close();
    shared[0x1fff] = 7;
    expect([bytes[0x2fff], kept[0x1fff]]).toEqual([7, 7]);
    kept[0] = 8;
    expect([bytes[0x1000], shared[0], kept[0]]).toEqual([0, 0, 8]);
  });

  it('is not made of a file that may shrink, nor beyond its end', () => {
    const loose = memoryFile(0x1000, { seal: false });
    const event = eventfd();
    const file = memoryFile(0x1800);
    for (const fd of [loose.fd, event.fd]) {
      expect(() => mapSealedFile(fd, 0, 0x1000, true)).toThrow(
        /^EPERM: operation not permitted, a file that may shrink$/,
      );
    }
    for (const [offset, size] of [
      [0, 0],
      [0, 0x1801],
      [0x1800, 1],
      [2 ** 52, 0x1000],
      [0x800, 0x800],
    ] as const) {
      expect(() => mapSealedFile(file.fd, offset, size, true)).toThrow(/^EINVAL/);
    }
    expect(() => mapSealedFile(file.fd, 0, 2 ** 32 + 1, true)).toThrow(RangeError);
    expect(mapSealedFile(file.fd, 0x1000, 0x800, true).byteLength).toBe(0x800);
    for (const one of [loose, event, file]) one.close();
  });
});

describe('bare descriptors', () => {
  it('are duplicated and closed', () => {
    const file = memoryFile(1);
    const copy = duplicateFd(file.fd);
    expect(copy).not.toBe(file.fd);
    expect(fstatSync(copy).ino).toBe(fstatSync(file.fd).ino);
    closeFd(copy);
    expect(() => {
      closeFd(copy);
    }).toThrow(EBADF);
    file.close();
  });

  it('must be descriptors, and eventfds to be signalled', () => {
    expect(() => duplicateFd(1_000_000)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'dup' }) as Error);
    expect(() => duplicateFd(-2)).toThrow(RangeError);
    expect(() => duplicateFd('1' as unknown as number)).toThrow('fd is not a number');
    expect(() => {
      closeFd(-1);
    }).toThrow(RangeError);
    const file = memoryFile(1);
    expect(() => {
      signalFd(file.fd);
    }).toThrow(expect.objectContaining({ code: 'EINVAL' }) as Error);
    file.close();
    const event = eventfd();
    signalFd(event.fd);
    expect(event.read()).toBe(1);
    event.close();
  });
});
