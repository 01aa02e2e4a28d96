import { afterEach, describe, expect, test } from 'vitest';

import type { MdevRegistry } from '../../../src/mdev/index.ts';
import { CONFIG, dsaDevice, DsaGuest } from './support/dsa-guest.ts';
import {
  CMDSTATUS,
  Code,
  GENCFG,
  GENCTRL,
  GENSTS,
  grpcfg,
  INTCAUSE,
  msixEntry,
  msixPermission,
  SWERROR,
  wqcfg,
} from './support/offsets.ts';

const registries: MdevRegistry[] = [];

afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.close();
});

/** A device in which nothing has its reset value, with a queue enabled. */
async function used(): Promise<DsaGuest> {
  const { device, registry } = await dsaDevice('dsa-cfg-v1');
  registries.push(registry);
  const guest = new DsaGuest(device, 9);
  guest.write32(GENCFG, 50 | (1 << 12));
  guest.write32(wqcfg(0) + 4, 3);
  guest.write32(wqcfg(0) + 16, 0x1_0002);
  guest.write32(wqcfg(0) + 20, 4);
  guest.write64(grpcfg(0) + 40, 0x600_0009n);
  guest.bringUp([32], 1n);
  guest.write32(GENCTRL, 3);
  guest.write32(msixPermission(1), 4);
  guest.write32(msixEntry(1) + 8, 0x4021);
  guest.write32(msixEntry(1) + 12, 0);
  guest.write32(0x1c, 1, CONFIG);
  guest.write16(0x48, 0x2810, CONFIG);
  guest.write16(0x82, 0x8000, CONFIG);
  // A command that is refused leaves CMDSTATUS, INTCAUSE and vector 0; a full queue leaves SWERROR.
  guest.write32(0xa0, (0x8000_0000 | (Code.enableWq << 20)) >>> 0);
  guest.write32(0xa0, (0x8000_0000 | (Code.enableWq << 20)) >>> 0);
  expect(guest.read32(CMDSTATUS)).toBe(0x21);
  const move = { opcode: 3, source: 0x10_0000n, destination: 0x30_0000n, size: 0x20_0000 };
  for (let count = 0; count < 200 && guest.read64(SWERROR) === 0n; count++) guest.submit(0, move, 1);
  expect(guest.read64(SWERROR) & 0xff01n).toBe(0x5301n);
  return guest;
}

const values = (guest: DsaGuest): Readonly<Record<string, unknown>> => ({
  GENCFG: guest.read32(GENCFG),
  GENCTRL: guest.read32(GENCTRL),
  GENSTS: guest.read32(GENSTS),
  CMDSTATUS: guest.read32(CMDSTATUS),
  SWERROR: guest.read64(SWERROR) & 0xff01n,
  MSIXPERM: guest.read32(msixPermission(1)),
  GRPCFG: [guest.read64(grpcfg(0)), guest.read64(grpcfg(0) + 32), guest.read64(grpcfg(0) + 40)],
  WQCFG: Array.from({ length: 7 }, (_, word) => guest.read32(wqcfg(0) + 4 * word)),
  'MSI-X entry': [guest.read32(msixEntry(1) + 8), guest.read32(msixEntry(1) + 12)],
});

const cleared = {
  GENCFG: 96,
  GENCTRL: 0,
  GENSTS: 0,
  MSIXPERM: 0,
  GRPCFG: [0n, 0n, 96n << 20n],
  WQCFG: [0, 0, 0, 0, 0, 0, 0],
};

describe('what survives', () => {
  test('Reset Device: CMDSTATUS, SWERROR and the MSI-X table', async () => {
    const guest = await used();
    expect(await guest.commandWithInterrupt(Code.resetDevice)).toBe(0);
    expect(values(guest)).toEqual({ ...cleared, CMDSTATUS: 0, SWERROR: 0x5301n, 'MSI-X entry': [0x4021, 0] });
    expect(guest.read32(INTCAUSE)).toBe(2);
    expect([guest.read32(0x1c, CONFIG), guest.read16(4, CONFIG), guest.read16(0x82, CONFIG)]).toEqual([1, 6, 0x8008]);
  });

  test.each([
    [
      'FLR',
      (guest: DsaGuest) => {
        guest.write16(0x48, 0xa810, CONFIG);
      },
    ],
    [
      'DEVICE_RESET',
      (guest: DsaGuest) => {
        guest.session.sync.reset();
      },
    ],
  ])('%s: nothing but eventfds and guest memory', async (_, reset) => {
    const guest = await used();
    reset(guest);
    expect([guest.read32(0x1c, CONFIG), guest.read16(4, CONFIG), guest.read16(0x48, CONFIG)]).toEqual([0, 0, 0x2910]);
    expect(guest.read16(0x82, CONFIG)).toBe(8);
    guest.write16(4, 6, CONFIG);
    expect(values(guest)).toEqual({ ...cleared, CMDSTATUS: 0, SWERROR: 0n, 'MSI-X entry': [0, 1] });
    expect(guest.read32(INTCAUSE)).toBe(0);
    for (const vector of guest.vectors) vector.read();
    guest.bringUp([32], 1n);
    expect(await guest.commandWithInterrupt(Code.drainAll)).toBe(0);
  });

  test('Reset WQ: the size, and everything of the device', async () => {
    const guest = await used();
    expect(await guest.commandWithInterrupt(Code.resetWq, 1)).toBe(0);
    expect(values(guest)).toEqual({
      GENCFG: 50 | (1 << 12),
      GENCTRL: 3,
      GENSTS: 1,
      CMDSTATUS: 0,
      SWERROR: 0x5301n,
      MSIXPERM: 4,
      GRPCFG: [1n, 1n, 0x600_0009n],
      WQCFG: [32, 0, 0, 0, 0, 0, 0],
      'MSI-X entry': [0x4021, 0],
    });
  });

  test('a client that leaves: everything but eventfds and guest memory', async () => {
    const guest = await used();
    await guest.commandWithInterrupt(Code.drainAll);
    const before = values(guest);
    guest.close();
    const next = new DsaGuest(guest.device, 9);
    expect(values(next)).toEqual(before);
    expect(next.command(Code.drainAll)).toBe(0);
  });
});

test('a fixed device has its configuration after every reset', async () => {
  const { device, registry } = await dsaDevice('dsa-1dwq-v1', { entries: 24, priority: 3 });
  registries.push(registry);
  const guest = new DsaGuest(device);
  const configuration = (): number[] => Array.from({ length: 4 }, (_, word) => guest.read32(wqcfg(0) + 4 * word));
  const before = configuration();
  expect(before).toEqual([24, 0, 0x31, 31 | (10 << 5)]);
  for (const reset of [
    () => guest.command(Code.resetDevice),
    () => {
      guest.session.sync.reset();
      guest.write16(4, 6, CONFIG);
    },
    () => {
      guest.write16(0x48, 0x8000, CONFIG);
      guest.write16(4, 6, CONFIG);
    },
  ]) {
    guest.enable(1);
    guest.write32(wqcfg(0), 1);
    guest.write32(wqcfg(0) + 8, 0);
    reset();
    guest.write32(wqcfg(0) + 8, 0);
    expect([configuration(), guest.read32(GENSTS)]).toEqual([before, 0]);
  }
});
