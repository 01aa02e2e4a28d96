import { expect, it, vi } from 'vitest';

import { createDeviceCore, memoryFile } from '../../src/native/binding.ts';
import { bytes, closing, EFAULT, EINVAL, ENOSPC, ENOTCONN } from './support/device.ts';

it('is copied when the device is bus master', () => {
  const core = createDeviceCore();
  closing(memoryFile(0x3000), (file) => {
    const guest = new Uint8Array(file.buffer);
    guest.set(bytes(1, 2, 3, 4), 0x1ffe);
    expect(core.dmaMap(0x10000n, 0x2000n, 3, file.fd, 0x1000n)).toBe(0);
    expect(core.dmaMap(0x12000n, 0x1000n, 3, file.fd, 0n)).toBe(0);
    const into = new Uint8Array(4);
    expect(core.dmaRead(0x10ffen, into)).toBe(EFAULT);
    core.setBusMaster(true);
    expect(core.dmaRead(0x10ffen, into)).toBe(0);
    expect(into).toEqual(bytes(1, 2, 3, 4));
    // Across two maps, and beyond them.
    expect(core.dmaWrite(0x11ffen, bytes(5, 6, 7, 8))).toBe(0);
    expect([...guest.subarray(0x2ffe), ...guest.subarray(0, 2)]).toEqual([5, 6, 7, 8]);
    expect(core.dmaWrite(0x12ffen, bytes(5, 6, 7, 8))).toBe(EFAULT);
    expect(core.dmaRead(0xffff_ffff_ffff_fffen, into)).toBe(EFAULT);
    expect(core.dmaRead(0n, new Uint8Array(0))).toBe(0);
    expect(core.dmaUnmap(0x10000n, 0x2000n)).toBe(0);
    expect(core.dmaRead(0x10ffen, into)).toBe(EFAULT);
    core.dmaUnmapAll();
    expect(core.dmaRead(0x12000n, into)).toBe(EFAULT);

    expect(core.dmaMap(0n, 0x1000n, 3, file.fd, 0n)).toBe(0);
    core.setBusMaster(false);
    expect(core.dmaRead(0n, into)).toBe(EFAULT);
    core.setEnforceBusMaster(false);
    expect(core.dmaRead(0n, into)).toBe(0);
  });
});

it('tells many maps, each with what is its own', () => {
  const core = createDeviceCore();
  const pages = Array.from({ length: 1000 }, (_, index) => BigInt(index) * 0x3000n);
  for (const iova of pages) expect(core.dmaMap(iova, 0x1000n, 1, -1, 0n)).toBe(0);
  expect(core.dmaMaps()).toEqual(
    pages.map((iova) => ({ iova, size: 0x1000n, rights: 1, fd: -1, offset: 0n, valid: true })),
  );
  core.close();
});

it('says when it needs a message, and when nobody is there to take it', () => {
  const core = createDeviceCore();
  core.setBusMaster(true);
  expect(core.dmaMap(0n, 0x1000n, 3, -1, 0n)).toBe(0);
  expect(core.dmaRead(0n, new Uint8Array(4))).toBe(-1);
  const callback = vi.fn();
  expect(core.dmaTransfer(false, 0n, new Uint8Array(4), callback)).toBe(ENOTCONN);
  expect(callback).not.toHaveBeenCalled();
  expect(() => core.dmaTransfer(true, 0n, new Uint8Array(0), callback)).toThrow(/buffer has 0 bytes/);
  expect(() => core.dmaTransfer(true, 0n, new Uint8Array(65_537), callback)).toThrow(RangeError);
});

it('takes addresses as 64-bit bigints only', () => {
  const core = createDeviceCore();
  expect(() => core.dmaUnmap(-1n, 1n)).toThrow(/iova is -1; expected a bigint from 0/);
  expect(() => core.dmaUnmap(2n ** 64n, 1n)).toThrow(RangeError);
  expect(() => core.dmaUnmap(0 as unknown as bigint, 1n)).toThrow('iova is not a bigint');
});

it('tells its maps, with one descriptor for each file', () => {
  const core = createDeviceCore();
  closing(memoryFile(0x3000), (file) => {
    expect(core.dmaMap(0x2000n, 0x1000n, 3, file.fd, 0x1000n)).toBe(0);
    expect(core.dmaMap(0x1000n, 0x1000n, 1, file.fd, 0n)).toBe(0);
    expect(core.dmaMap(0n, 0x1000n, 1, -1, 0n)).toBe(0);
    const maps = core.dmaMaps();
    const kept = maps[1]?.fd ?? -1;
    expect(kept).toBeGreaterThanOrEqual(0);
    expect(maps).toEqual([
      { iova: 0n, size: 0x1000n, rights: 1, fd: -1, offset: 0n, valid: true },
      { iova: 0x1000n, size: 0x1000n, rights: 1, fd: kept, offset: 0n, valid: true },
      { iova: 0x2000n, size: 0x1000n, rights: 3, fd: kept, offset: 0x1000n, valid: true },
    ]);
  });
});

it('takes pairs of 64-bit values for ranges and windows', () => {
  const core = createDeviceCore();
  expect(() => core.startDirtyLog(4096n, new BigUint64Array(3))).toThrow('ranges has 3 values; expected pairs');
  expect(() => core.startDirtyLog(4096n, [] as unknown as BigUint64Array)).toThrow('ranges is not a BigUint64Array');
  expect(core.dirtyPageSize()).toBe(0n);
});

it('holds a client to what it agreed to, as long as it is there', () => {
  const core = createDeviceCore();
  core.setClientDmaLimits(1n, 0x10000n);
  expect(core.dmaInfo()).toMatchObject({ mappingsAvailable: 1n });
  expect(core.dmaMap(0x1000n, 0x10000n, 3, -1, 0n)).toBe(EINVAL);
  expect(core.dmaMap(0x10000n, 0x10000n, 3, -1, 0n)).toBe(0);
  expect(core.dmaMap(0x20000n, 0x10000n, 3, -1, 0n)).toBe(ENOSPC);
  core.clientGone();
  expect(core.dmaMap(0x1000n, 0x1000n, 3, -1, 0n)).toBe(0);
  expect(core.dmaMap(0x2000n, 0x1000n, 3, -1, 0n)).toBe(0);
});
