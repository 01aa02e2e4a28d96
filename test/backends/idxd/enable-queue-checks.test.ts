import { describe, expect, test } from 'vitest';

import { configured, queueState } from './support/configured.ts';
import { configurable } from './support/descriptions.ts';
import { FakeDevice } from './support/fake-device.ts';
import { Code, GENCFG, wqcfg } from './support/offsets.ts';

describe('Enable WQ', () => {
  test('hands the configuration to the engines and locks it', () => {
    const device = configured();
    device.write32(wqcfg(2) + 4, 40);
    device.write64(wqcfg(2) + 32, 0b1001n);
    device.write32(GENCFG, 96 | (1 << 12));
    device.command(Code.enableDevice);
    expect(device.command(Code.enableWq, 2)).toBe(0);
    const operations = new Uint8Array(32);
    operations[0] = 0b1001;
    operations[24] = 1;
    expect(device.enabled).toEqual([
      {
        index: 2,
        request: {
          group: { index: 1 },
          size: 32,
          mode: 'dedicated',
          threshold: 32,
          priority: 10,
          maxTransferShift: 21,
          maxBatchShift: 5,
          operations,
          userInterrupts: true,
        },
      },
    ]);
    expect([queueState(device, 2), queueState(device, 0)]).toEqual([1, 0]);
    device.write32(wqcfg(2) + 8, 0);
    device.write32(wqcfg(0) + 8, 0);
    expect([device.read32(wqcfg(2) + 8), device.read32(wqcfg(0) + 8)]).toEqual([0xa1, 0]);
  });

  const mode = (bits: number) => (device: FakeDevice) => {
    device.write32(wqcfg(0) + 8, bits);
  };
  const limits = (transfer: number, batch: number) => (device: FakeDevice) => {
    device.write32(wqcfg(0) + 12, transfer | (batch << 5));
  };
  test.each<[string, number, (device: FakeDevice) => void]>([
    ['twice', 0x21, (device) => device.command(Code.enableWq, 0)],
    ['with priority 0', 0x23, mode(1)],
    ['in shared mode', 0x24, mode(0xa0)],
    ['with block on fault', 0x25, mode(0xa3)],
    ['with a PASID', 0x26, mode(0xa1 | (1 << 28))],
    ['with shift 0 for batches', 0x27, limits(21, 0)],
    ['with larger batches than the device has', 0x27, limits(21, 11)],
    ['privileged with a PASID', 0x2a, mode(0xa1 | (3 << 28))],
    [
      'with an occupancy interrupt',
      0x2b,
      (device) => {
        device.write32(wqcfg(0) + 20, 1 << 16);
      },
    ],
    ['with ATS disable', 0x2c, mode(0xa5)],
    [
      'with operations that the device lacks',
      0x2d,
      (device) => {
        device.write64(wqcfg(0) + 40, 1n);
      },
    ],
    ['with PRS disable', 0x2e, mode(0xa9)],
  ])('%s gives error 0x%s', (_, error, change) => {
    const device = configured();
    device.command(Code.enableDevice);
    change(device);
    const before = [queueState(device, 0), device.enabled.length];
    expect(device.command(Code.enableWq, 0)).toBe(error);
    expect([queueState(device, 0), device.enabled.length]).toEqual(before);
  });

  const PASID = 1 << 28;
  const PRIVILEGED = 1 << 29;
  const hidden = { shown: false, enabled: false, privileged: false };
  const off = { shown: true, enabled: false, privileged: false };
  const on = { shown: true, enabled: true, privileged: false };
  const kernel = { shown: true, enabled: true, privileged: true };
  test.each([
    // A function without PASIDs has one submitter, itself.
    ['shared', 0xa0, hidden, 0],
    ['shared', 0xa0 | PASID, hidden, 0x26],
    ['shared', 0xa0, off, 0x26],
    ['shared', 0xa0 | PASID, off, 0x26],
    ['shared', 0xa0, on, 0x26],
    ['shared', 0xa0 | PASID, on, 0],
    // The bit is for dedicated queues.
    ['shared', 0xa0 | PASID | PRIVILEGED, on, 0],
    ['dedicated', 0xa1, off, 0],
    ['dedicated', 0xa1 | PASID, off, 0x26],
    ['dedicated', 0xa1, on, 0],
    ['dedicated', 0xa1 | PASID, on, 0],
    ['dedicated', 0xa1 | PASID | PRIVILEGED, on, 0x2a],
    ['dedicated', 0xa1 | PASID | PRIVILEGED, kernel, 0],
    ['dedicated', 0xa1 | PRIVILEGED, on, 0],
  ])('a %s queue with mode 0x%s and PASIDs %j', (_, bits, pasids, error) => {
    const device = new FakeDevice({ ...configurable, queueModes: 'both', pasid: true });
    configured(device);
    device.pasids = pasids;
    device.command(Code.enableDevice);
    mode(bits)(device);
    expect(device.command(Code.enableWq, 0)).toBe(error);
  });

  test('tells engines who submits: the queue, or the descriptor', () => {
    const device = new FakeDevice({ ...configurable, queueModes: 'both', pasid: true });
    configured(device);
    device.pasids = kernel;
    device.command(Code.enableDevice);
    mode((0xa1 | PASID | (0x12345 << 8)) >>> 0)(device);
    expect(device.command(Code.enableWq, 0)).toBe(0);
    device.write32(wqcfg(2) + 8, 0xa0 | PASID);
    expect(device.command(Code.enableWq, 2)).toBe(0);
    expect(device.enabled.map(({ request }) => request)).toMatchObject([
      { mode: 'dedicated', pasid: 0x12345, privileged: false },
      { mode: 'shared', pasid: 0, privileged: true },
    ]);
  });

  test('takes the modes that the type offers', () => {
    for (const [queueModes, dedicated, shared] of [
      ['dedicated', 0, 0x24],
      ['shared', 0x24, 0],
      ['both', 0, 0],
    ] as const) {
      for (const [bits, error] of [
        [0xa1, dedicated],
        [0xa0, shared],
      ] as const) {
        const device = new FakeDevice({ ...configurable, queueModes });
        configured(device);
        device.command(Code.enableDevice);
        mode(bits)(device);
        expect(device.command(Code.enableWq, 0)).toBe(error);
      }
    }
  });

  test('with larger transfers than the device has gives error 0x28', () => {
    const device = new FakeDevice({ ...configurable, maxTransferShift: 30 });
    configured(device);
    device.command(Code.enableDevice);
    device.write32(wqcfg(0) + 12, 31 | (5 << 5));
    expect(device.command(Code.enableWq, 0)).toBe(0x28);
    device.write32(wqcfg(0) + 12, 30 | (5 << 5));
    expect(device.command(Code.enableWq, 0)).toBe(0);
  });

  test('without a device that is enabled 0x20, without entries 0x22, beyond the queues 2, with reserved bits 4', () => {
    const device = configured();
    expect(device.command(Code.enableWq, 0)).toBe(0x20);
    device.command(Code.enableDevice);
    expect(device.command(Code.enableWq, 3)).toBe(0x22);
    expect(device.command(Code.enableWq, 4)).toBe(2);
    expect(device.command(Code.enableWq, 255)).toBe(2);
    expect(device.command(Code.enableWq, 256)).toBe(4);
  });

  test.each([
    ['transfer shift 30, which SPDK always asks for', limits(30, 10)],
    ['transfer shift 31', limits(31, 10)],
    ['privileged without a PASID, as the kernel’s own queues are', mode(0xa1 | (1 << 29))],
  ])('takes %s', (_, change) => {
    const device = configured();
    device.command(Code.enableDevice);
    change(device);
    expect(device.command(Code.enableWq, 0)).toBe(0);
  });
});
