import { describe, expect, test } from 'vitest';

import type { MdevFailure } from '../../../src/mdev/index.ts';
import { acmeDevice, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

describe('hooks', () => {
  test('see the guest’s writes and drive the registers, also of arrays', async () => {
    const seen: string[] = [];
    const device = await acmeDevice(({ bar0: { registers, locks } }) => ({
      hooks: {
        bar0: {
          DOORBELL: {
            afterWrite: ({ length }) => {
              seen.push(`doorbell ${length} from ${registers.SOURCE.address}`);
              locks.running = true;
              registers.CAUSE.done = true;
            },
          },
          STATUS: { beforeRead: () => ({ polls: registers.STATUS.polls + 1 }) },
          LANE: {
            MODE: {
              beforeWrite: ({ mode }) => (mode > 8 ? { mode: 8 } : undefined),
              afterWrite: ({ mode }, previous, { index }) => {
                seen.push(`lane ${index}: ${previous.mode} -> ${mode}`);
              },
            },
          },
        },
      },
    }));
    const guest = new Guest(device);
    guest.write64(At.source, 0x1234n);
    guest.write32(At.doorbell, 64);
    guest.write64(At.source, 0x5678n);
    expect(guest.read64(At.source)).toBe(0x1234n);
    expect(guest.read32(At.cause)).toBe(1);
    guest.write32(At.cause, 1);
    expect(guest.read32(At.cause)).toBe(0);
    expect([guest.read32(At.status), guest.read32(At.status)]).toEqual([0x1_0000, 0x2_0000]);
    guest.write32(At.laneMode(3), 15);
    expect(guest.read32(At.laneMode(3))).toBe(8);
    expect(seen).toEqual(['doorbell 64 from 4660', 'lane 3: 0 -> 8']);
    const { traps, frozenWrites } = device.statistics;
    expect([traps, frozenWrites]).toEqual([expect.any(Number), 1]);
  });

  test('what `create` sets in the registers is there for the guest, although hooks were bound later', async () => {
    const device = await acmeDevice(({ bar0: { registers, locks } }) => {
      registers.KEPT.value32 = 0xabcd;
      for (const lane of registers.LANE) lane.MODE.mode = 5;
      locks.running = true;
      return { hooks: { bar0: { DOORBELL: { afterWrite: () => undefined } } } };
    });
    const guest = new Guest(device);
    guest.write64(At.target, 1n);
    expect([guest.read32(At.kept), guest.read32(At.laneMode(2)), guest.read64(At.target)]).toEqual([0xabcd, 5, 0n]);
  });

  test('may be objects of a class, with state of their own', async () => {
    class Burst {
      writes = 0;
      afterWrite(): void {
        this.writes += 1;
      }
    }
    class Polls extends Burst {
      limit = 1;
      beforeRead(): { polls: number } {
        return { polls: (this.limit += 1) };
      }
    }
    const [burst, lane] = [new Burst(), new Burst()];
    const device = await acmeDevice(() => ({
      hooks: { bar0: { CONTROL: burst, STATUS: new Polls(), LANE: { MODE: lane } } },
    }));
    const guest = new Guest(device);
    guest.write32(At.control, 0x20);
    guest.write32(At.laneMode(1), 1);
    guest.write32(At.laneMode(2), 1);
    expect([guest.read32(At.status), burst.writes, lane.writes]).toEqual([0x2_0000, 1, 2]);
  });

  test('of a class are guarded, and plain ones may have nothing else', async () => {
    class Broken {
      state = 1;
      beforeRead(): void {
        throw new Error(`no status in ${this.state}`);
      }
    }
    const device = await acmeDevice(() => ({ hooks: { bar0: { STATUS: new Broken() } } }));
    expect(new Guest(device).read32(At.status)).toBe(0xffff_ffff);
    expect(device.failure).toMatchObject({ path: 'bar0.STATUS', error: { message: 'bar0.STATUS: no status in 1' } });
    const misspelt = { STATUS: { beforeread: () => undefined } } as object;
    await expect(acmeDevice(() => ({ hooks: { bar0: misspelt } }))).rejects.toThrow('STATUS.beforeread is none of');
    const noFunction = { STATUS: Object.assign(Object.create({ beforeRead: 1 }) as object, { state: 1 }) } as object;
    await expect(acmeDevice(() => ({ hooks: { bar0: noFunction } }))).rejects.toThrow(
      'STATUS.beforeRead is not a function',
    );
  });

  test('one that throws fails this instance and no other', async () => {
    const thrown = new Error('lane 2 is on fire');
    let stopped = 0;
    let signal: AbortSignal | undefined;
    const device = await acmeDevice((context) => {
      signal = context.signal;
      return {
        stop: () => {
          stopped += 1;
        },
        hooks: {
          bar0: {
            LANE: {
              MODE: {
                afterWrite: () => {
                  throw thrown;
                },
              },
            },
          },
        },
      };
    });
    const neighbour = new Guest(await acmeDevice());
    const failures: MdevFailure[] = [];
    device.on('failed', (failure) => failures.push(failure));
    const guest = new Guest(device);
    guest.write32(At.control, 0x21);
    guest.write32(At.laneMode(2), 1);

    expect(failures).toEqual([
      {
        uuid: device.uuid,
        parent: 'acme0',
        type: 'channel',
        path: 'bar0.LANE[2].MODE',
        error: expect.objectContaining({ cause: thrown }) as unknown,
        stack: thrown.stack,
      },
    ]);
    expect(device.failure).toBe(failures[0]);
    expect([device.state, stopped, signal?.aborted]).toEqual(['failed', 1, true]);
    guest.write32(At.control, 0x31);
    guest.write16(At.command, 0, CONFIG);
    expect([guest.read32(At.control), guest.read32(0, CONFIG), guest.read32(0, 2)]).toEqual(
      Array.from({ length: 3 }, () => 0xffff_ffff),
    );
    expect(() => {
      guest.session.sync.reset();
    }).toThrow(expect.objectContaining({ code: 'EIO' }));
    guest.close();
    expect(device.state).toBe('failed');
    expect(() => device.attach({ name: 'again' })).toThrow(expect.objectContaining({ code: 'EIO' }));
    await device.close();

    neighbour.write32(At.control, 0x31);
    expect(neighbour.read32(At.control)).toBe(0x31);
  });

  test('a read hook that throws gives all ones at once', async () => {
    const device = await acmeDevice(() => ({
      hooks: {
        bar0: {
          STATUS: {
            beforeRead: () => {
              throw new Error('no status');
            },
          },
        },
      },
    }));
    const guest = new Guest(device);
    expect(guest.read32(At.status)).toBe(0xffff_ffff);
    expect(device.failure?.path).toBe('bar0.STATUS');
  });

  test('on what is no region with registers are refused', async () => {
    const hooks = { bar2: { X: {} } } as object;
    await expect(acmeDevice(() => ({ hooks }))).rejects.toThrow('bar2 is not a region with registers');
  });

  test('may close the instance that they belong to', async () => {
    const device = await acmeDevice(() => ({
      hooks: { bar0: { DOORBELL: { afterWrite: () => void device.close() } } },
    }));
    const guest = new Guest(device);
    guest.write32(At.doorbell, 1);
    await device.close();
    expect(device.state).toBe('closed');
    expect(() => guest.read32(0)).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  });
});
