import { afterEach, describe, expect, test } from 'vitest';

import { closeRegistries, dsaGuest, Flag, MEMORY_AT, probe } from './support/dsa-guest.ts';
import {
  Code,
  ENGCAP,
  GENCAP,
  GENCFG,
  GENCTRL,
  GENSTS,
  GRPCAP,
  grpcfg,
  INTCAUSE,
  msixPermission,
  OFFSETS,
  OPCAP,
  SWERROR,
  WQCAP,
  wqcfg,
} from './support/offsets.ts';

afterEach(closeRegistries);

describe('Linux', () => {
  test('probes, configures, enables, copies, disables and enables a configurable device again', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    probe(guest);
    expect([guest.read64(WQCAP) & 0xff_ffffn, guest.read64(GRPCAP) & 0xffffn, guest.read64(ENGCAP)]).toEqual([
      (8n << 16n) | 128n,
      (96n << 8n) | 4n,
      4n,
    ]);
    const operations = guest.read64(OPCAP);
    const offsets = guest.read64(OFFSETS);
    expect([wqcfg(0), grpcfg(0), msixPermission(0)]).toEqual([
      Number((offsets >> 16n) & 0xffffn) * 0x100,
      Number(offsets & 0xffffn) * 0x100,
      Number((offsets >> 32n) & 0xffffn) * 0x100,
    ]);

    for (let round = 0; round < 2; round++) {
      const words = [32, 0, 1 | (10 << 4), 21 | (5 << 5), 0, 0, 0, 0, Number(operations & 0xffff_ffffn)];
      for (const [word, value] of words.entries()) guest.write32(wqcfg(0) + 4 * word, value);
      guest.write32(wqcfg(0) + 36, Number(operations >> 32n));
      for (const [word, value] of [1n, 0n, 0n, 0n, 1n, 0x600_0009n].entries())
        guest.write64(grpcfg(0) + 8 * word, value);
      guest.write32(GENCFG, guest.read32(GENCFG) | 0x1000);
      expect(await guest.commandWithInterrupt(Code.enableDevice)).toBe(0);
      expect([guest.read32(GENSTS), guest.read32(INTCAUSE)]).toEqual([1, 2]);
      guest.write32(INTCAUSE, 2);
      expect(await guest.commandWithInterrupt(Code.enableWq, 0)).toBe(0);

      guest.at(MEMORY_AT, 4096).fill(0x5a + round);
      const record = MEMORY_AT + 0x8000n;
      guest.at(record, 32).fill(0);
      const completed = guest.interrupt(1);
      guest.submit(0, {
        opcode: 3,
        flags: Flag.recordValid | Flag.record | Flag.interrupt,
        completion: record,
        source: MEMORY_AT,
        destination: MEMORY_AT + 0x4000n,
        size: 4096,
        handle: 1,
      });
      await completed;
      expect(guest.status(record)).toBe(1);
      expect(Buffer.compare(guest.at(MEMORY_AT + 0x4000n, 4096), guest.at(MEMORY_AT, 4096))).toBe(0);

      guest.write32(msixPermission(1), 0);
      expect(await guest.commandWithInterrupt(Code.drainWq, 1)).toBe(0);
      expect(await guest.commandWithInterrupt(Code.resetWq, 1)).toBe(0);
      expect(await guest.commandWithInterrupt(Code.disableDevice)).toBe(0);
      expect(await guest.commandWithInterrupt(Code.resetDevice)).toBe(0);
      guest.write32(GENCTRL, 3);
      expect(guest.read32(GENSTS)).toBe(0);
    }
  });

  test('takes the fixed device as it comes', async () => {
    const guest = await dsaGuest('dsa-1dwq-v1');
    probe(guest);
    expect((guest.read64(GENCAP) >> 31n) & 1n).toBe(0n);
    expect([guest.read32(wqcfg(0)), guest.read32(wqcfg(0) + 8) & 0x1000_0001]).toEqual([16, 1]);
    guest.write32(GENCFG, guest.read32(GENCFG) | 0x1000);
    expect(await guest.commandWithInterrupt(Code.enableDevice)).toBe(0);
    expect(await guest.commandWithInterrupt(Code.enableWq, 0)).toBe(0);
    const record = MEMORY_AT + 0x8000n;
    const completed = guest.interrupt(1);
    guest.at(MEMORY_AT, 64).fill(0xee);
    guest.submit(0, {
      opcode: 3,
      flags: Flag.recordValid | Flag.record | Flag.interrupt,
      completion: record,
      source: MEMORY_AT,
      destination: MEMORY_AT + 0x4000n,
      size: 64,
      handle: 1,
    });
    await completed;
    expect([guest.status(record), guest.at(MEMORY_AT + 0x4000n, 64).every((byte) => byte === 0xee)]).toEqual([1, true]);
  });

  test('gets what a queue that is full refused as a software error with its interrupt', async () => {
    const guest = await dsaGuest('dsa-cfg-v1', { engines: 1 });
    probe(guest);
    guest.write32(GENCTRL, 1);
    guest.bringUp([1], 1n);
    const told = guest.interrupt(0);
    // Half a GiB keeps the only engine busy for as long as three writes may take on any machine.
    const large = 0x1_0000_0000n;
    guest.mapAgain(large, 0x4000_0000);
    const move = { opcode: 3, source: large, destination: large + 0x2010_0000n, size: 0x1fe0_0000 };
    for (let count = 0; count < 16; count++) guest.submit(0, move, 1);
    await told;
    expect(guest.read64(SWERROR) & 0xff_ff09n).toBe(0x53_09n);
    expect(guest.read32(INTCAUSE) & 1).toBe(1);
    guest.write64(SWERROR, 3n);
    guest.write32(INTCAUSE, 1);
    expect([guest.read64(SWERROR) & 3n, guest.read32(INTCAUSE) & 1]).toEqual([0n, 0]);
  });
});

describe('user-space drivers', () => {
  test('DPDK: polls, writes with 4 and 8 bytes, one engine per group, all queues', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    expect(guest.command(Code.resetDevice)).toBe(0);
    expect(guest.read32(GENSTS) & 3).toBe(0);
    for (let group = 0; group < 4; group++) {
      guest.write64(grpcfg(group) + 32, 1n << BigInt(group));
      guest.write64(grpcfg(group), (1n << BigInt(group)) | (1n << BigInt(group + 4)));
      guest.write32(grpcfg(group) + 40, guest.read32(grpcfg(group) + 40) | 0x9);
    }
    for (let queue = 0; queue < 8; queue++) {
      guest.write32(wqcfg(queue), 16);
      guest.write32(wqcfg(queue) + 8, 0x11);
      guest.write32(wqcfg(queue) + 12, (10 << 5) | 31);
    }
    expect(guest.command(Code.enableDevice)).toBe(0);
    for (let queue = 0; queue < 8; queue++) {
      expect(guest.command(Code.enableWq, queue)).toBe(0);
      expect(guest.read32(wqcfg(queue) + 24) >>> 30).toBe(1);
    }
    expect(guest.command(Code.disableWq, 1 << 7)).toBe(0);
    expect(guest.read32(wqcfg(7) + 24) >>> 30).toBe(0);
    expect(guest.command(Code.disableDevice, 7)).toBe(0);
  });

  test('SPDK: bytes and words, one group with all engines, transfers of 2^30', async () => {
    const guest = await dsaGuest('dsa-cfg-v1');
    expect(guest.command(Code.resetDevice)).toBe(0);
    guest.write(0, wqcfg(0), new Uint8Array([128, 0]));
    guest.write(0, wqcfg(0) + 8, new Uint8Array([0x11]));
    guest.write(0, wqcfg(0) + 12, new Uint8Array([30 | ((10 & 7) << 5), 10 >> 3]));
    guest.write(0, grpcfg(0), new Uint8Array([1]));
    guest.write(0, grpcfg(0) + 32, new Uint8Array([0xf]));
    guest.write(0, grpcfg(0) + 40, new Uint8Array([0x09]));
    guest.write(0, grpcfg(0) + 42, new Uint8Array([96 << 4, 96 >> 4]));
    guest.enable(1);
    expect(guest.read32(GENSTS) & 3).toBe(1);
  });
});
