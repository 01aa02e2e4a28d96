import { describe, expect, test } from 'vitest';

import { configured, enabled, state } from './support/configured.ts';
import { configurable } from './support/descriptions.ts';
import { FakeDevice } from './support/fake-device.ts';
import { Code, GENCFG, grpcfg, wqcfg } from './support/offsets.ts';

describe('Enable Device', () => {
  test('gives the groups their engines and locks the configuration', () => {
    const device = enabled();
    expect(state(device)).toBe(1);
    expect(device.assignments).toEqual([[[0], [1], []]]);
    device.write32(wqcfg(0), 1);
    device.write32(GENCFG, 1);
    device.write64(grpcfg(0), 0n);
    expect([device.read32(wqcfg(0)), device.read32(GENCFG), device.read64(grpcfg(0))]).toEqual([16, 96, 3n]);
  });

  test.each<[string, number, (device: FakeDevice) => void]>([
    ['while it is enabled', 0x10, (device) => device.command(Code.enableDevice)],
    ['without bus master', 0x12, (device) => (device.busMaster = false)],
    [
      'with more entries than there are',
      0x14,
      (device) => {
        device.write32(wqcfg(0), 25);
      },
    ],
    [
      'with queues but no engine',
      0x15,
      (device) => {
        device.write64(grpcfg(1) + 32, 0n);
      },
    ],
    [
      'with an engine but no queue',
      0x15,
      (device) => {
        device.write64(grpcfg(0) + 32, 0n);
        device.write64(grpcfg(0), 0b111n);
        device.write64(grpcfg(1), 0n);
      },
    ],
    [
      'with a queue in two groups',
      0x16,
      (device) => {
        device.write64(grpcfg(1), 0b110n);
      },
    ],
    [
      'with an active queue in none',
      0x16,
      (device) => {
        device.write64(grpcfg(0), 0b001n);
      },
    ],
    [
      'with an inactive queue in one',
      0x16,
      (device) => {
        device.write64(grpcfg(0), 0b1011n);
      },
    ],
    [
      'with a queue that does not exist',
      0x16,
      (device) => {
        device.write64(grpcfg(0), 0b10011n);
      },
    ],
    [
      'with queue 255',
      0x16,
      (device) => {
        device.write64(grpcfg(0) + 24, 1n << 63n);
      },
    ],
    [
      'with an engine in two groups',
      0x17,
      (device) => {
        device.write64(grpcfg(1) + 32, 0b11n);
      },
    ],
    [
      'with an engine that does not exist',
      0x17,
      (device) => {
        device.write64(grpcfg(1) + 32, 0b110n);
      },
    ],
    [
      'with too few read buffers for an engine',
      0x18,
      (device) => {
        device.write64(grpcfg(0) + 40, 3n << 20n);
      },
    ],
    [
      'with fewer allowed than reserved',
      0x18,
      (device) => {
        device.write64(grpcfg(0) + 40, (8n << 20n) | (9n << 8n));
      },
    ],
    [
      'with more allowed than there are',
      0x18,
      (device) => {
        device.write64(grpcfg(0) + 40, 97n << 20n);
      },
    ],
    [
      'with more reserved than there are',
      0x18,
      (device) => {
        device.write64(grpcfg(0) + 40, (96n << 20n) | (96n << 8n));
        device.write64(grpcfg(1) + 40, (4n << 20n) | (1n << 8n));
      },
    ],
    [
      'with a global limit below need',
      0x18,
      (device) => {
        device.write32(GENCFG, 3);
        device.write64(grpcfg(0) + 40, (96n << 20n) | (1n << 7n));
      },
    ],
    [
      'with an event log',
      0x19,
      (device) => {
        device.write32(GENCFG, 96 | (1 << 13));
      },
    ],
  ])('%s gives error 0x%s', (_, error, change) => {
    const device = configured();
    change(device);
    const before = state(device);
    expect(device.command(Code.enableDevice)).toBe(error);
    expect(state(device)).toBe(before);
  });

  test('reserved read buffers of one group leave the others theirs', () => {
    const device = configured();
    device.write64(grpcfg(0) + 40, (20n << 20n) | (16n << 8n));
    device.write64(grpcfg(1) + 40, 80n << 20n);
    expect(device.command(Code.enableDevice)).toBe(0);
  });

  test('a group that nobody uses is not asked for its read buffers', () => {
    const device = configured();
    device.write64(grpcfg(0) + 40, (20n << 20n) | (16n << 8n));
    device.write64(grpcfg(1) + 40, 80n << 20n);
    device.write64(grpcfg(2) + 40, 0n);
    expect(device.command(Code.enableDevice)).toBe(0);
  });

  test('a device without any queue can be enabled', () => {
    expect(new FakeDevice(configurable).command(Code.enableDevice)).toBe(0);
  });

  test('the operand is not looked at (DPDK sends a queue index)', () => {
    expect(configured().command(Code.enableDevice, 3)).toBe(0);
  });
});
