import { afterEach, describe, expect, test } from 'vitest';

import { coreOf } from '../../../src/native/device-handle.ts';
import { configured } from './support/configured.ts';
import { fixed } from './support/descriptions.ts';
import { CONFIG, closeRegistries, dsaGuest, type DsaGuest } from './support/dsa-guest.ts';
import { FakeDevice } from './support/fake-device.ts';
import { ACTIVE, CMDSTATUS, Code, wqcfg } from './support/offsets.ts';
import { type Accessible, allowed, fields, type Phase, unlocked, writable } from './support/permissions.ts';

afterEach(closeRegistries);

const OCCUPANCY_LIMIT = wqcfg(0) + 20;
const INTERRUPT_ENABLE = 1 << 16;

/** Every field by name with the bits of it that the guest can change. All values are afterwards what they were. */
function permissions(device: Accessible): Readonly<Record<string, bigint>> {
  return Object.fromEntries(
    [...fields, ...unlocked].map(([name, offset, bits]) => {
      const before = device.read64(offset);
      const changed = writable(device, offset, bits);
      device.write64(offset, before);
      expect(device.read64(offset), name).toBe(before);
      return [name, changed];
    }),
  );
}

/** What the data sheet wants of {@link permissions}. */
function wanted(kind: 'configurable' | 'fixed', phase: Phase): Readonly<Record<string, bigint>> {
  const locked = fields.map(([name, , bits, when]) => [
    name,
    kind === 'configurable' && allowed(when, phase) ? bits : 0n,
  ]);
  return Object.fromEntries([
    ...locked,
    ...unlocked.map(([name, , bits]) => [name, phase === 'reset active' ? 0n : bits]),
  ]) as Readonly<Record<string, bigint>>;
}

const resets: readonly (readonly [name: string, reset: (guest: DsaGuest) => unknown])[] = [
  [
    'FLR',
    (guest) => {
      guest.write16(0x48, 0x8000, CONFIG);
    },
  ],
  [
    'FLR of a device that D3hot has halted',
    (guest) => {
      guest.write16(0x94, 3, CONFIG);
      guest.write16(0x94, 0, CONFIG);
      guest.write16(0x48, 0x8000, CONFIG);
    },
  ],
  ['DEVICE_RESET by a client', (guest) => coreOf(guest.device.handle).reset()],
  [
    'a reset by the owner',
    (guest) => {
      guest.session.sync.reset();
    },
  ],
  ['Reset Device', (guest) => guest.commandWithInterrupt(Code.resetDevice)],
  [
    'Reset Device of a Disabled device',
    async (guest) => {
      await guest.commandWithInterrupt(Code.disableDevice);
      await guest.commandWithInterrupt(Code.resetDevice);
    },
  ],
];

describe.each(resets)('%s', (_, reset) => {
  test('a device that the guest configures: everything can be written again, until it is enabled', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64]);
    guest.write32(OCCUPANCY_LIMIT, INTERRUPT_ENABLE | 4);
    await reset(guest);
    guest.write16(4, 6, CONFIG);
    expect(permissions(guest)).toEqual(wanted('configurable', 'device disabled'));
    guest.bringUp([64]);
    expect(permissions(guest)).toEqual(wanted('configurable', 'queue enabled'));
  });

  test('a device in fixed configuration: nothing can ever be written', async () => {
    const guest = await dsaGuest('dsa-1dwq-v1');
    expect(permissions(guest)).toEqual(wanted('fixed', 'device disabled'));
    guest.enable(1);
    await reset(guest);
    guest.write16(4, 6, CONFIG);
    expect(permissions(guest)).toEqual(wanted('fixed', 'device disabled'));
    guest.enable(1);
    expect(permissions(guest)).toEqual(wanted('fixed', 'queue enabled'));
  });
});

test('Reset WQ frees its queue, and no other and not the device', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  guest.bringUp([32, 32]);
  guest.write32(OCCUPANCY_LIMIT, INTERRUPT_ENABLE | 4);
  guest.write32(OCCUPANCY_LIMIT + 64, INTERRUPT_ENABLE | 4);
  expect(await guest.commandWithInterrupt(Code.resetWq, 1)).toBe(0);
  expect(permissions(guest)).toEqual(wanted('configurable', 'queue disabled'));
  const second: readonly (readonly [offset: number, bits: bigint])[] = [
    [wqcfg(1), 0xffffn],
    [wqcfg(1) + 8, 0xf0n],
    [OCCUPANCY_LIMIT + 64, 0xffffn],
  ];
  expect(second.map(([offset, bits]) => writable(guest, offset, bits))).toEqual([0n, 0n, 0n]);
});

describe('while Reset Device waits for what is in flight, nothing is free yet', () => {
  test.each([
    ['configurable', () => configured()],
    ['fixed', () => new FakeDevice(fixed)],
  ] as const)('on a %s device', (kind, make) => {
    const device = make();
    expect([device.command(Code.enableDevice), device.command(Code.enableWq, 0)]).toEqual([0, 0]);
    if (kind === 'configurable') device.write32(OCCUPANCY_LIMIT, INTERRUPT_ENABLE | 4);
    device.busy.add(0);
    expect(device.command(Code.resetDevice)).toBe(ACTIVE);
    expect(permissions(device)).toEqual(wanted(kind, 'reset active'));
    expect(device.read32(CMDSTATUS)).toBe(ACTIVE);
    device.finishWork();
    expect(device.read32(CMDSTATUS)).toBe(0);
    expect(permissions(device)).toEqual(wanted(kind, 'device disabled'));
  });

  test('nor while Disable Device, Disable WQ and Reset WQ wait', () => {
    for (const [code, operand, after] of [
      [Code.disableDevice, 0, 'device disabled'],
      [Code.disableWq, 1, 'queue disabled'],
      [Code.resetWq, 1, 'queue disabled'],
    ] as const) {
      const device = configured();
      expect([device.command(Code.enableDevice), device.command(Code.enableWq, 0)]).toEqual([0, 0]);
      device.busy.add(0);
      expect(device.command(code, operand)).toBe(ACTIVE);
      expect(permissions(device)).toEqual(wanted('configurable', 'queue enabled'));
      device.finishWork();
      expect(permissions(device)).toEqual(wanted('configurable', after));
    }
  });
});
