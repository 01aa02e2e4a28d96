import { expect } from 'vitest';

import { configurable } from './descriptions.ts';
import { FakeDevice } from './fake-device.ts';
import { Code, GENSTS, grpcfg, wqcfg } from './offsets.ts';

/** Two queues in group 0 with engine 0, one in group 1 with engine 1, queue 3 inactive; all dedicated. */
export function configured(device = new FakeDevice(configurable)): FakeDevice {
  for (const [queue, size] of [16, 8, 32].entries()) {
    device.write32(wqcfg(queue), size);
    device.write32(wqcfg(queue) + 8, 1 | (10 << 4));
    device.write32(wqcfg(queue) + 12, 21 | (5 << 5));
  }
  device.write64(grpcfg(0), 0b011n);
  device.write64(grpcfg(0) + 32, 0b01n);
  device.write64(grpcfg(1), 0b100n);
  device.write64(grpcfg(1) + 32, 0b10n);
  return device;
}

/** The same, with the device and these queues enabled. */
export function enabled(...queues: readonly number[]): FakeDevice {
  const device = configured();
  expect(device.command(Code.enableDevice)).toBe(0);
  for (const queue of queues) expect(device.command(Code.enableWq, queue)).toBe(0);
  return device;
}

/** GENSTS.state. */
export const state = (device: FakeDevice): number => device.read32(GENSTS) & 3;
/** WQCFG.STATUS.state. */
export const queueState = (device: FakeDevice, queue: number): number => device.read32(wqcfg(queue) + 24) >>> 30;
