import { expect, it } from 'vitest';

import { createDeviceCore, eventfd, memoryFile } from '../../src/native/binding.ts';
import {
  BAR0,
  bytes,
  closing,
  CONFIG,
  device,
  EINVAL,
  ENOTTY,
  MSIX,
  READ_WRITE,
  table,
  TRIGGER_BOOL,
  TRIGGER_EVENTFD,
  TRIGGER_NONE,
} from './support/device.ts';

it('latches, shows it in the PBA, and fires', () => {
  const core = createDeviceCore();
  const pba = new BigUint64Array(core.setRegisterRegion(CONFIG, 0x20, READ_WRITE, table), 0x10, 1);
  closing(eventfd(), (event) => {
    core.setIrqCount(MSIX, 3);
    core.triggerIrq(MSIX, 2);
    core.bindIrqPending(MSIX, CONFIG, 0x10);
    expect(pba[0]).toBe(4n);
    expect(core.irqPending(MSIX, 2)).toBe(true);
    expect(core.setIrqs(TRIGGER_EVENTFD, MSIX, 2, 1, null, [event.fd])).toBe(0);
    expect(event.read()).toBe(1);
    expect(pba[0]).toBe(0n);
    core.setIrqMasked(MSIX, 2, true);
    core.triggerIrq(MSIX, 2);
    core.setIrqAllMasked(MSIX, true);
    core.setIrqMasked(MSIX, 2, false);
    expect(event.read()).toBe(0);
    core.setIrqAllMasked(MSIX, false);
    expect(event.read()).toBe(1);
    expect(core.setIrqs(TRIGGER_BOOL, MSIX, 1, 2, bytes(1, 1), [])).toBe(0);
    expect(event.read()).toBe(1);
    core.setIrqAllMasked(MSIX, true);
    core.triggerIrq(MSIX, 2);
    core.resetIrqs(MSIX);
    expect(core.irqPending(MSIX, 2)).toBe(false);
    core.triggerIrq(MSIX, 2);
    expect(event.read()).toBe(1);
    core.clientGone();
    core.triggerIrq(MSIX, 2);
    expect(event.read()).toBe(0);
  });
});

it('answers wrong requests as VFIO does', () => {
  const core = createDeviceCore();
  core.setIrqCount(MSIX, 3);
  expect(core.setIrqs(TRIGGER_NONE, 0, 0, 0, null, [])).toBe(0);
  expect(core.setIrqs(TRIGGER_NONE, 5, 0, 0, null, [])).toBe(EINVAL);
  expect(core.setIrqs(0x09, MSIX, 0, 1, null, [])).toBe(ENOTTY);
  closing(memoryFile(4096), (file) => {
    expect(core.setIrqs(TRIGGER_EVENTFD, MSIX, 0, 1, null, [file.fd])).toBe(EINVAL);
  });
  expect(() => core.setIrqs(TRIGGER_EVENTFD, MSIX, 0, 1, null, [1_000_000])).toThrow(
    expect.objectContaining({ code: 'EBADF', syscall: 'dup' }) as Error,
  );
});

it('names a wrong declaration', () => {
  const { core } = device();
  expect(() => {
    core.setIrqCount(MSIX, 2049);
  }).toThrow(/irq index 2 with 2049 vectors; expected at most 2048/);
  expect(() => {
    core.setIrqCount(0, 2);
  }).toThrow(RangeError);
  core.setIrqCount(MSIX, 65);
  for (const [region, offset] of [
    [CONFIG, 2],
    [CONFIG, 0x18],
    [CONFIG, 0x20],
    [CONFIG, Number.MAX_SAFE_INTEGER],
    [BAR0, 0],
    [99, 0],
  ] as const) {
    expect(() => {
      core.bindIrqPending(MSIX, region, offset);
    }).toThrow(/pending bits at/);
  }
  core.bindIrqPending(MSIX, CONFIG, 0x10);
});
