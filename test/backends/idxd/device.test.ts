import { afterEach, describe, expect, test } from 'vitest';

import { softwareDsa } from '../../../src/backends/idxd/index.ts';
import { MdevRegistry } from '../../../src/mdev/index.ts';
import { CONFIG, closeRegistries, dsaGuest, DsaGuest, Flag, MEMORY_AT, probe } from './support/dsa-guest.ts';
import { CMDCAP, Code, GENCAP, GENCTRL, GENSTS, INTCAUSE, SWERROR, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

describe('bus master', () => {
  test('lost while the device is enabled halts it; FLR mends it', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.write32(GENCTRL, 3);
    guest.bringUp([64], 1n);
    const told = guest.interrupt(0);
    guest.write16(4, 2, CONFIG);
    await told;
    expect([guest.read32(GENSTS), guest.read64(SWERROR) & 0xff01n, guest.read32(INTCAUSE)]).toEqual([7, 0x5101n, 0x11]);
    expect(guest.command(Code.resetDevice)).toBe(5);
    guest.write16(0x48, 0x8000, CONFIG);
    guest.write16(4, 6, CONFIG);
    probe(guest);
  });

  test('lost and won while it is Disabled is nothing: never Halt at probe', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.write16(4, 2, CONFIG);
    guest.write16(4, 6, CONFIG);
    expect([guest.read32(GENSTS), guest.read64(SWERROR)]).toEqual([0, 0n]);
    guest.write16(4, 2, CONFIG);
    expect(guest.command(Code.enableDevice)).toBe(0x12);
  });

  test('a guest that reboots, or a VMM that leaves without a word, leaves a device that probes', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    guest.bringUp([64], 1n);
    // QEMU at a machine reset: COMMAND, then DEVICE_RESET.
    guest.write16(4, 0, CONFIG);
    guest.session.sync.reset();
    guest.write16(4, 6, CONFIG);
    probe(guest);
    guest.bringUp([64], 1n);
    guest.close();
    const next = new DsaGuest(guest.device);
    next.write16(4, 0, CONFIG);
    next.session.sync.reset();
    next.write16(4, 6, CONFIG);
    probe(next);
  });
});

describe('attributes', () => {
  test('interruptHandles offers commands 13 and 14', async () => {
    const guest = await dsaGuest('dsa-cfg-v1', { interruptHandles: true });
    expect(guest.read32(CMDCAP)).toBe(0x7ffe);
    expect(guest.command(Code.requestHandle, 8)).toBe(8 << 8);
    expect(guest.command(Code.requestHandle, 9)).toBe(0x41);
    expect(guest.command(Code.releaseHandle, 8)).toBe(0);
  });

  test('the largest transfer and batch are what GENCAP says and Enable WQ takes', async () => {
    const guest = await dsaGuest('dsa-cfg-v1', { maxTransferShift: 21, maxBatchShift: 5 });
    expect((guest.read64(GENCAP) >> 16n) & 0x1ffn).toBe((5n << 5n) | 21n);
    expect(() => {
      guest.bringUp([16]);
    }).toThrow('enable: 0, 39');
    guest.write32(wqcfg(0) + 12, (5 << 5) | 22);
    expect(guest.command(Code.enableWq, 0)).toBe(0x28);
    guest.write32(wqcfg(0) + 12, (5 << 5) | 21);
    expect(guest.command(Code.enableWq, 0)).toBe(0);
  });
});

test('the occupancy limit may change in the write that enables its interrupt, and not after it', async () => {
  const guest = await dsaGuest('dsa-cfg-v1');
  const limit = wqcfg(1) + 20;
  guest.write32(limit, (1 << 16) | 5);
  guest.write32(limit, (1 << 16) | 6);
  expect(guest.read32(limit)).toBe((1 << 16) | 5);
  guest.write32(limit, 7);
  expect(guest.read32(limit)).toBe(5);
  guest.write32(limit, 7);
  expect(guest.read32(limit)).toBe(7);
  guest.write32(limit, 1 << 16);
  expect(guest.command(Code.resetDevice)).toBe(0);
  guest.write32(limit, 9);
  expect(guest.read32(limit)).toBe(9);
});

test('two guests on one shared engine do not meet', async () => {
  const registry = new MdevRegistry();
  registry.register(softwareDsa({ sharedEngines: 1 }));
  const first = new DsaGuest(await registry.create({ parent: 'dsa0', type: 'dsa-1dwq-v1' }));
  const second = new DsaGuest(await registry.create({ parent: 'dsa0', type: 'dsa-1dwq-v1' }));
  for (const [guest, fill] of [
    [first, 1],
    [second, 2],
  ] as const) {
    guest.enable(1);
    guest.at(MEMORY_AT, 256).fill(fill);
  }
  const flags = Flag.recordValid | Flag.record | Flag.interrupt;
  const completion = MEMORY_AT + 0x8000n;
  const move = {
    opcode: 3,
    flags,
    completion,
    source: MEMORY_AT,
    destination: MEMORY_AT + 0x4000n,
    size: 256,
    handle: 1,
  };
  const done = [first.interrupt(1), second.interrupt(1)];
  first.submit(0, move);
  second.submit(0, move);
  await Promise.all(done);
  expect([first, second].map((guest) => [guest.status(completion), guest.at(MEMORY_AT + 0x4000n, 1)[0]])).toEqual([
    [1, 1],
    [1, 2],
  ]);
  await registry.remove(first.device.uuid, { force: true });
  const again = second.interrupt(1);
  second.at(completion, 32).fill(0);
  second.submit(0, move);
  await again;
  expect(second.status(completion)).toBe(1);
  await registry.close();
});
