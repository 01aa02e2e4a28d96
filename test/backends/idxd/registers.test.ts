import { describe, expect, test } from 'vitest';

import type { DsaDescription } from '../../../src/backends/idxd/description.ts';
import { dsaRegisters } from '../../../src/backends/idxd/registers.ts';
import { compile } from '../../../src/emulation/index.ts';
import { configurable, fixed } from './support/descriptions.ts';
import { FakeDevice } from './support/fake-device.ts';
import {
  CMDCAP,
  Code,
  ENGCAP,
  GENCAP,
  GENCFG,
  GENSTS,
  GRPCAP,
  grpcfg,
  INTCAUSE,
  OFFSETS,
  OPCAP,
  SWERROR,
  VERSION,
  WQCAP,
  wqcfg,
} from './support/offsets.ts';
import { allowed, fields, type Phase, phases, unlocked, writable } from './support/permissions.ts';

describe('capabilities', () => {
  test('of a device that the guest configures', () => {
    const device = new FakeDevice(configurable);
    expect(device.read32(VERSION)).toBe(0x100);
    // Overlap, cache hint, CMDCAP, transfers of 2^31 bytes, batches of 2^10, configurable.
    expect(device.read64(GENCAP)).toBe(0x8000_0000n | (10n << 21n) | (31n << 16n) | 0b1_0110n);
    // 64 entries, 4 queues, 64 bytes of WQCFG; dedicated, priority, occupancy, operations.
    expect(device.read64(WQCAP)).toBe((0b101_1010n << 48n) | (1n << 24n) | (4n << 16n) | 64n);
    expect(device.read64(GRPCAP)).toBe((3n << 16n) | (96n << 8n) | 3n);
    expect(device.read64(ENGCAP)).toBe(2n);
    expect([0, 8, 16, 24].map((offset) => device.read64(OPCAP + offset))).toEqual(configurable.operations);
    expect([device.read64(OFFSETS), device.read64(OFFSETS + 8)]).toEqual([0x0004_0008_0006n, 0n]);
    expect(device.read64(CMDCAP)).toBe(0x1ffen);
  });

  test('of a device in fixed configuration', () => {
    const device = new FakeDevice(fixed);
    expect(device.read64(GENCAP) & 0x8000_0000n).toBe(0n);
    expect(device.read64(WQCAP) & 0xff_ffffn).toBe((1n << 16n) | 16n);
    expect(device.read64(GRPCAP) & 0xffn).toBe(1n);
    expect(device.read64(ENGCAP)).toBe(1n);
    // What Linux reads at probe instead of configuring: mode 1, PASID enable 0, one queue and one engine in group 0.
    const words = Array.from({ length: 8 }, (_, word) => device.read32(wqcfg(0) + 4 * word));
    expect(words).toEqual([16, 0, 1 | (8 << 4), 31 | (10 << 5), 0, 0, 0, 0]);
    expect([device.read64(grpcfg(0)), device.read64(grpcfg(0) + 32)]).toEqual([1n, 1n]);
  });

  test('commands 13 and 14 by option', () => {
    const device = new FakeDevice({ ...configurable, interruptHandles: true });
    expect(device.read64(CMDCAP)).toBe(0x7ffen);
  });

  test('cannot be written', () => {
    const device = new FakeDevice(configurable);
    const before = device.region.snapshot();
    for (let offset = 0; offset < GENCFG; offset += 8) device.write64(offset, 0xffff_ffff_ffff_ffffn);
    for (const offset of [GENSTS, 0xa8, CMDCAP, 0xe0, 0xe8, 0xf0, 0x100, 0x108, 0x180, 0xe000, 0xf000]) {
      device.write64(offset, 0xffff_ffff_ffff_ffffn);
    }
    expect(Buffer.compare(device.region.snapshot(), before)).toBe(0);
  });
});

/** A device in a phase: queue 0 is configured to be enabled. */
function deviceIn(description: DsaDescription, phase: Phase): FakeDevice {
  const device = new FakeDevice(description);
  if (description.configurable) {
    device.write32(wqcfg(0), 16);
    device.write32(wqcfg(0) + 8, 0x11);
    device.write32(wqcfg(0) + 12, 21 | (5 << 5));
    device.write64(grpcfg(0), 1n);
    device.write64(grpcfg(0) + 32, 1n);
  }
  if (phase !== 'device disabled') expect(device.command(Code.enableDevice)).toBe(0);
  if (phase === 'queue enabled') expect(device.command(Code.enableWq, 0)).toBe(0);
  return device;
}

describe.each([
  ['configurable', configurable],
  ['fixed', fixed],
] as const)('write permissions of a %s device', (kind, description) => {
  describe.each(phases)('%s', (phase) => {
    test.each(fields)('%s', (_, offset, bits, when) => {
      const expected = kind === 'configurable' && allowed(when, phase) ? bits : 0n;
      expect(writable(deviceIn(description, phase), offset, bits)).toBe(expected);
    });
    test.each(unlocked)('%s', (_, offset, bits) => {
      expect(writable(deviceIn(description, phase), offset, bits)).toBe(bits);
    });
  });
});

test('causes and errors are cleared by ones, and by nothing else', () => {
  const device = new FakeDevice(configurable);
  const { INTCAUSE: cause, SWERROR0 } = device.region.registers;
  cause.value = 0x8000_003f;
  device.write32(INTCAUSE, 0x8000_0002);
  expect(device.read32(INTCAUSE)).toBe(0x3d);
  SWERROR0.value = 0x53_0fn;
  device.write64(SWERROR, 0x2n);
  expect(device.read64(SWERROR)).toBe(0x530dn);
  device.write32(SWERROR, 0xffff_ffff);
  expect(device.read64(SWERROR)).toBe(0x530cn);
});

test('bytes and words can be written apart, as SPDK’s bit fields are', () => {
  const device = new FakeDevice(configurable);
  device.region.write(wqcfg(1), new Uint8Array([0x34]));
  device.region.write(wqcfg(1) + 1, new Uint8Array([0x12]));
  device.region.write(wqcfg(1) + 8, new Uint8Array([0xa1]));
  device.region.write(wqcfg(1) + 12, new Uint8Array([0xbe, 0x00]));
  expect([device.read32(wqcfg(1)), device.read32(wqcfg(1) + 8), device.read32(wqcfg(1) + 12)]).toEqual([
    0x1234, 0xa1, 0xbe,
  ]);
});

test.each([
  [1, 1, 1],
  [8, 4, 4],
  [63, 8, 64],
])('%i queues, %i groups, %i engines fit into BAR0', (queues, groups, engines) => {
  const block = dsaRegisters({ ...configurable, queues, groups, engines, entries: 65_535 });
  expect(block.size).toBe(0x1_0000);
  expect(compile(block).memorySize).toBeGreaterThan(block.size);
});
