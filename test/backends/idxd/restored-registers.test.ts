import { afterEach, describe as suite, expect, test } from 'vitest';

import type { DsaRegisterBlock } from '../../../src/backends/idxd/registers.ts';
import { describe, type RegisterRegion } from '../../../src/emulation/index.ts';
import { restored, saved } from '../../mdev/support/migratable.ts';
import { altered } from './support/altered-stream.ts';
import { closeRegistries, dsaGuest, type DsaGuest } from './support/dsa-guest.ts';
import { ACTIVE, CMD, CMDSTATUS, Code, GENCTRL, GENSTS, grpcfg, INTCAUSE, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

type Bar0 = RegisterRegion<DsaRegisterBlock>;

const LARGE_AT = 0x1_0000_0000n;
const LARGE = 0x200_0000;

/** A guest whose device is up, and its stream. */
async function running(type: 'dsa-1dwq-v1' | 'dsa-cfg-v1'): Promise<{ guest: DsaGuest; stream: Uint8Array }> {
  const guest = await dsaGuest(type);
  if (type === 'dsa-1dwq-v1') guest.enable(1);
  else guest.bringUp([32, 16], 3n);
  return { guest, stream: await saved(guest.session) };
}

/** Expects that another device refuses such a stream, and goes on as it was. */
async function refused(
  type: 'dsa-1dwq-v1' | 'dsa-cfg-v1',
  stream: Uint8Array,
  change: (bar0: Bar0) => void,
  message: string,
): Promise<void> {
  const destination = await dsaGuest(type);
  const before = destination.read32(wqcfg(0) + 8);
  await expect(restored(destination.session, altered(stream, change))).rejects.toThrow(message);
  expect(destination.read32(wqcfg(0) + 8)).toBe(before);
  await closeRegistries();
}

suite('what the operator has decided stays as it is', () => {
  test('in every register that the guest of a fixed device cannot write', async () => {
    const { stream } = await running('dsa-1dwq-v1');
    await closeRegistries();
    const paths: string[] = [];
    altered(stream, (bar0) => {
      for (const { path, fields } of describe(bar0.block))
        if (fields.some(({ locks }) => locks.includes('fixed'))) paths.push(path);
    });
    expect(paths).toHaveLength(17);
    for (const path of paths) {
      const change = (bar0: Bar0): void => {
        const found = describe(bar0.block).find((register) => register.path === path);
        const at = found?.offset ?? 0;
        // The lowest bit of each is one of a field.
        const memory = new Uint8Array(bar0.memory);
        memory[at] = (memory[at] ?? 0) ^ 1;
      };
      await refused('dsa-1dwq-v1', stream, change, path);
    }
  });

  test('whatever its share of the engine is to be', async () => {
    const { stream } = await running('dsa-1dwq-v1');
    const change = ({ registers }: Bar0): void => {
      for (const queue of registers.WQCFG) queue.MODE.priority = 15;
    };
    await refused('dsa-1dwq-v1', stream, change, 'WQCFG[0].MODE is 0xf1; expected 0x81');
  });

  test.each(['dsa-1dwq-v1', 'dsa-cfg-v1'] as const)('whatever locks a stream of %s says', async (type) => {
    const { guest, stream } = await running(type);
    const sizes = (of: DsaGuest): number[] => [of.read32(wqcfg(0)), of.read32(wqcfg(0) + 8)];
    const before = sizes(guest);
    for (const held of [false, true]) {
      const destination = await dsaGuest(type);
      const hostile = altered(stream, ({ locks, registers }) => {
        locks.fixed = locks.deviceEnabled = locks.resetActive = held;
        for (const queue of registers.WQCFG) queue.locks.queueEnabled = queue.locks.occupancyInterruptEnabled = held;
      });
      await restored(destination.session, hostile);
      destination.write32(wqcfg(0), 0xffff);
      destination.write32(wqcfg(0) + 8, 0xf1);
      destination.write32(GENCTRL, 3);
      expect([...sizes(destination), destination.read32(GENCTRL)]).toEqual([...before, 3]);
    }
  });
});

suite('what Enable Device and Enable Queue have seen to', () => {
  type Registers = Bar0['registers'];
  const everyQueue = (change: (queue: Registers['WQCFG'][number]) => void) => (registers: Registers) => {
    for (const queue of registers.WQCFG) change(queue);
  };
  const everyGroup = (change: (group: Registers['GRPCFG'][number]) => void) => (registers: Registers) => {
    for (const group of registers.GRPCFG) change(group);
  };
  const sizes = everyQueue((queue) => {
    queue.SIZE.size = 0xffff;
  });
  const noGroup = everyGroup((group) => {
    group.WQS0.queues = 0n;
  });
  const engineTwice = everyGroup((group) => {
    group.ENGINES.engines = 1n;
  });
  const otherEngines = everyGroup((group) => {
    group.ENGINES.engines = 1n << 40n;
  });
  const pasid = everyQueue((queue) => {
    queue.MODE.pasidEnable = true;
  });
  const batches = everyQueue((queue) => {
    queue.LIMITS.maxBatchShift = 15;
  });
  const disabledDevice = (registers: Registers): void => {
    registers.GENSTS.state = 0;
  };

  test.each([
    ['sizes', sizes, 'Enable Device would have given error 0x14'],
    ['queues have groups', noGroup, 'Enable Device would have given error 0x16'],
    ['engines have one group', engineTwice, 'Enable Device would have given error 0x17'],
    ['engines are the own ones', otherEngines, 'Enable Device would have given error 0x17'],
    ['modes', pasid, 'Enable Queue would have given error 0x'],
    ['limits', batches, 'Enable Queue would have given error 0x'],
    ['queues need the device', disabledDevice, 'work queue 0 is enabled; expected none'],
  ])('holds: %s', async (_what, change, message) => {
    const { stream } = await running('dsa-cfg-v1');
    await refused(
      'dsa-cfg-v1',
      stream,
      ({ registers }) => {
        change(registers);
      },
      message,
    );
  });
});

suite('commands', () => {
  /** A device with so much in flight that a command has to wait, and this one does. */
  async function waiting(type: 'dsa-1dwq-v1' | 'dsa-cfg-v1', command: number, operand: number): Promise<Uint8Array> {
    const guest = await dsaGuest(type);
    guest.mapAgain(LARGE_AT, 3 * LARGE);
    if (type === 'dsa-1dwq-v1') guest.enable(1);
    else guest.bringUp([32, 16], 1n);
    const move = { opcode: 3, source: LARGE_AT, destination: LARGE_AT + BigInt(LARGE) + 0x20_0000n, size: LARGE };
    for (let index = 0; index < 4; index++) guest.submit(0, move, 1);
    await guest.session.setMigrationState(1);
    guest.write32(CMD, (0x8000_0000 | (command << 20) | operand) >>> 0);
    expect(guest.read32(CMDSTATUS)).toBe(ACTIVE);
    return saved(guest.session);
  }

  test.each(['dsa-1dwq-v1', 'dsa-cfg-v1'] as const)(
    'Reset Device ends elsewhere as it would have, %s',
    async (type) => {
      const stream = await waiting(type, Code.resetDevice, 0);
      const destination = await dsaGuest(type);
      destination.mapAgain(LARGE_AT, 3 * LARGE);
      await destination.session.setMigrationState(4);
      await destination.session.writeMigrationData(stream);
      await destination.session.setMigrationState(1);
      expect([destination.read32(CMDSTATUS), destination.read32(GENSTS) & 3]).toEqual([ACTIVE, 2]);
      destination.write32(GENCTRL, 3);
      expect(destination.read32(GENCTRL)).toBe(0);
      const end = destination.interrupt(0);
      await destination.session.setMigrationState(2);
      await end;
      expect([CMDSTATUS, GENSTS, INTCAUSE, wqcfg(0) + 24].map((at) => destination.read32(at))).toEqual([0, 0, 2, 0]);
      destination.write32(GENCTRL, 3);
      expect(destination.read32(GENCTRL)).toBe(3);
      if (type === 'dsa-1dwq-v1') destination.enable(1);
      else destination.bringUp([64], 2n);
    },
  );

  test('wait where the registers say so, and only there', async () => {
    const stream = await waiting('dsa-cfg-v1', Code.disableWq, 1);
    const none = ({ registers }: Bar0): void => {
      registers.CMDSTATUS.active = false;
    };
    await refused('dsa-cfg-v1', stream, none, 'a command waits there, and not in the registers');
    const { stream: idle } = await running('dsa-cfg-v1');
    const one = ({ registers }: Bar0): void => {
      registers.CMDSTATUS.active = true;
    };
    await refused('dsa-cfg-v1', idle, one, 'no command waits there, but in the registers');
  });

  test('change nothing but what they are for', async () => {
    const stream = await waiting('dsa-cfg-v1', Code.drainAll, 0);
    const destination = await dsaGuest('dsa-cfg-v1');
    destination.mapAgain(LARGE_AT, 3 * LARGE);
    const end = destination.interrupt(0);
    await restored(destination.session, stream);
    await end;
    expect([CMDSTATUS, GENSTS, INTCAUSE, wqcfg(0)].map((at) => destination.read32(at))).toEqual([0, 1, 2, 32]);
    expect([destination.read32(wqcfg(0) + 24) >>> 30, destination.read64(grpcfg(0))]).toEqual([1, 3n]);
  });
});
