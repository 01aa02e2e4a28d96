/** MSI and extended capabilities as a client sees them; what is refused elsewhere is ignored here, as in config-space.test.ts. */
import { describe, expect, it } from 'vitest';

import { capabilityCard, CapabilityAt as At, SERIAL } from './support/capability-card.ts';
import { ConfigClient } from './support/config-client.ts';

const ENABLE = 1n;

describe('MSI', () => {
  it('C11: the guest enables what the function asks for at most, and what it asks for stays', async () => {
    const { device } = await capabilityCard();
    await using client = await ConfigClient.of(device);
    const control = At.msi + 2;
    const fresh = await client.read(control, 2);
    // Four vectors, 64-bit addresses, masks.
    expect(fresh).toBe(0x184n);
    expect(await client.write(control, 2, 0xffffn)).toBe(0);
    // A guest that wants 128 vectors gets the four that there are.
    expect(await client.read(control, 2)).toBe(fresh | 0x20n | ENABLE);
    expect(device.irqs[1]?.count).toBe(4);
    expect(await client.write(control, 2, 0x10n | ENABLE)).toBe(0);
    expect(await client.read(control, 2)).toBe(fresh | 0x10n | ENABLE);
    for (let at = 0; at < 0x18; at += 4) expect(await client.write(At.msi + at, 4, 0n)).toBe(0);
    expect(await client.read(control, 2)).toBe(fresh);
  });
});

describe('extended capabilities', () => {
  it('E5, E6: headers and read-only registers stay as they are', async () => {
    const { device } = await capabilityCard();
    await using client = await ConfigClient.of(device);
    for (const [at, value] of [
      [At.vendor, 0x0008_0009n],
      [At.serial, 0x10c1_0003n],
      [At.vsec, 0x0001_000bn],
      [At.vsec + 4, 0x0100_5a5an],
      [At.vsec + 8, 0x1111n],
    ] as const) {
      expect(await client.read(at, 4)).toBe(value);
      for (const size of [1, 2, 4]) expect(await client.write(at, size, ~value & 0xffff_ffffn)).toBe(0);
      expect(await client.read(at, 4)).toBe(value);
    }
  });

  it('E7, E9: a hooked register of a VSEC is told what is written, and reads it back', async () => {
    const { device, written } = await capabilityCard();
    await using client = await ConfigClient.of(device);
    expect(await client.write(At.vsec + 12, 4, 0x1234_5678n)).toBe(0);
    expect(await client.read(At.vsec + 12, 4)).toBe(0x1234_5678n);
    expect(await client.write(At.vsec + 13, 1, 0xffn)).toBe(0);
    expect(await client.read(At.vsec + 12, 4)).toBe(0x1234_ff78n);
    expect(written).toEqual([0x1234_5678, 0x1234_ff78]);
    expect(await client.write(At.vendor + 4, 4, 0xffff_ffffn)).toBe(0);
    expect(await client.read(At.vendor + 4, 4)).toBe(0xffffn);
  });

  it('E8: the serial number stays as it is', async () => {
    const { device } = await capabilityCard();
    await using client = await ConfigClient.of(device);
    expect(await client.write(At.serial + 4, 8, 0n)).toBe(0);
    expect(await client.write(At.serial + 8, 4, 0xffff_ffffn)).toBe(0);
    expect(await client.read(At.serial + 4, 8)).toBe(SERIAL);
  });
});
