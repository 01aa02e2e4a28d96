import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';

import { MdevError, MigrationFlag, MigrationState } from '../../../src/mdev/index.ts';
import { IncomingStream } from '../../../src/mdev/migration/incoming-stream.ts';
import { MigrationMachine, type MigrationSteps } from '../../../src/mdev/migration/migration-machine.ts';

const S = MigrationState;
const { stopCopy, p2p, preCopy } = MigrationFlag;

/** A device that notes what it is told, and fails on demand. */
class NotingDevice implements MigrationSteps {
  readonly told: string[] = [];
  /** Which call fails next. */
  failing: string | undefined;
  stops: (() => void)[] = [];
  /** `stop` waits until it is told to go on. */
  slow = false;
  runs = true;
  readonly answersWithin = 400;
  /** Milliseconds that `stop` and `save` were given. */
  readonly limits: number[] = [];
  /** Called while it stops. */
  stopping = (): unknown => undefined;

  async stop(limit: number): Promise<void> {
    this.limits.push(limit);
    this.stopping();
    this.#note('stop');
    if (this.slow) await new Promise<void>((resolve) => this.stops.push(resolve));
    else await Promise.resolve();
    expect(this.runs).toBe(true);
    this.runs = false;
  }
  resume(): void {
    expect(this.runs).toBe(false);
    this.#note('resume');
    this.runs = true;
  }
  begin(early: boolean): Uint8Array {
    this.#note(early ? 'begin early' : 'begin');
    expect(this.runs).toBe(early);
    return Uint8Array.of(1, 2);
  }
  async save(limit: number): Promise<Uint8Array> {
    this.limits.push(limit);
    expect(this.runs).toBe(false);
    this.#note('save');
    return Promise.resolve(Uint8Array.of(3, 4, 5));
  }
  estimate(): number {
    return 5;
  }
  receive(): IncomingStream {
    return new IncomingStream({ accept: () => 0, payloadMax: 0 });
  }
  restore(): void {
    expect(this.runs).toBe(false);
    this.#note('restore');
  }
  #note(call: string): void {
    if (this.failing === call) {
      this.failing = undefined;
      throw new MdevError('EIO', call);
    }
    this.told.push(call);
  }
}

/**
 * The rules as `<linux/vfio.h>` tells them in words: arcs between neighbours, and what each needs. Written without the table that the machine walks.
 */
const arcs: readonly (readonly [from: number, to: number, does: readonly string[]])[] = [
  [S.runningP2p, S.stop, ['stop']],
  [S.stop, S.runningP2p, ['resume']],
  [S.running, S.runningP2p, []],
  [S.runningP2p, S.running, []],
  [S.running, S.preCopy, ['begin early']],
  [S.preCopy, S.running, []],
  [S.runningP2p, S.preCopyP2p, ['begin early']],
  [S.preCopyP2p, S.runningP2p, []],
  [S.preCopy, S.preCopyP2p, []],
  [S.preCopyP2p, S.preCopy, []],
  [S.preCopyP2p, S.stopCopy, ['stop', 'save']],
  [S.stop, S.stopCopy, ['begin', 'save']],
  [S.stopCopy, S.stop, []],
  [S.stop, S.resuming, []],
  [S.resuming, S.stop, ['restore']],
];
const P2P: readonly number[] = [S.runningP2p, S.preCopyP2p];
const SAVING: readonly number[] = [S.preCopy, S.preCopyP2p, S.stopCopy];
const PRE_COPY: readonly number[] = [S.preCopy, S.preCopyP2p];

/** What the device is told on the shortest way that begins no saving in between; undefined when there is none. */
function expectedCalls(flags: number, from: number, to: number): readonly string[] | undefined {
  const exists = (state: number): boolean =>
    state >= 1 &&
    state <= 7 &&
    ((flags & p2p) !== 0 || !P2P.includes(state)) &&
    ((flags & preCopy) !== 0 || !PRE_COPY.includes(state));
  if (!exists(from) || !exists(to)) return undefined;
  // Leaving a whole stream begins nothing anew.
  if (from === S.stopCopy && PRE_COPY.includes(to)) return undefined;
  let edge: { readonly at: number; readonly calls: readonly string[] }[] = [{ at: from, calls: [] }];
  const seen = new Set([from]);
  for (;;) {
    const found = edge.find(({ at }) => at === to);
    if (found !== undefined) return found.calls;
    const next: typeof edge = [];
    for (const { at, calls } of edge) {
      for (const [begin, end, does] of arcs) {
        if (begin !== at || seen.has(end)) continue;
        // A saving state in between would save for nothing, unless the stream goes on in the next one.
        if (SAVING.includes(end) && end !== to && !(PRE_COPY.includes(from) && SAVING.includes(to))) continue;
        seen.add(end);
        next.push({ at: end, calls: [...calls, ...does] });
      }
    }
    if (next.length === 0) return undefined;
    edge = next;
  }
}

/** Brings a machine somewhere, whatever it has to do for it. */
async function at(flags: number, state: number): Promise<{ device: NotingDevice; machine: MigrationMachine }> {
  const device = new NotingDevice();
  const machine = new MigrationMachine(device, flags);
  await machine.setState(state);
  device.told.length = 0;
  return { device, machine };
}

const allFlags = [stopCopy, stopCopy | preCopy, stopCopy | p2p, stopCopy | preCopy | p2p];

function statesOf(flags: number): number[] {
  return [1, 2, 3, 4, 5, 6, 7].filter((state) => expectedCalls(flags, state, state) !== undefined);
}

describe('a device that is migrated', () => {
  it.each(allFlags)('is told what each pair of states needs (flags %i)', async (flags) => {
    for (const from of statesOf(flags)) {
      for (let to = 0; to < 9; to++) {
        const { device, machine } = await at(flags, from);
        const calls = expectedCalls(stopCopy | preCopy | p2p, from, to);
        if (expectedCalls(flags, from, to) === undefined) {
          await expect(machine.setState(to), `${from} to ${to}`).rejects.toMatchObject({ code: 'EINVAL' });
          expect(machine.state).toBe(from);
          expect(device.told).toEqual([]);
        } else {
          await machine.setState(to);
          expect(machine.state, `${from} to ${to}`).toBe(to);
          // The states that it lacks are passed, and cost nothing: the device is told the same.
          expect(device.told, `${from} to ${to}`).toEqual(calls);
          expect(device.runs).toBe([2, 5, 6, 7].includes(to));
          expect(machine.stopped).toBe(!device.runs);
        }
      }
    }
  });

  it.each(allFlags)('stays in a state that is true when a step fails (flags %i)', async (flags) => {
    for (const from of statesOf(flags)) {
      for (const to of statesOf(flags)) {
        for (const failing of expectedCalls(flags, from, to) ?? []) {
          const { device, machine } = await at(flags, from);
          device.failing = failing;
          await expect(machine.setState(to), `${from} to ${to}, ${failing}`).rejects.toMatchObject({ code: 'EIO' });
          expect(machine.stopped, `${from} to ${to}, ${failing}`).toBe(!device.runs);
          expect([...statesOf(flags)]).toContain(machine.state);
          expect(machine.state).not.toBe(to);
          // It goes on from there.
          await machine.setState(S.running);
          expect(device.runs).toBe(true);
        }
      }
    }
  });

  it('gives its stream in saving states only, as one', async () => {
    const { machine } = await at(7, S.preCopy);
    expect(machine.stopCopySize).toBe(7);
    expect(machine.read(1)).toEqual(Uint8Array.of(1));
    await machine.setState(S.preCopyP2p);
    expect(machine.read(9)).toEqual(Uint8Array.of(2));
    expect(machine.read(9)).toEqual(new Uint8Array(0));
    await machine.setState(S.stopCopy);
    expect(machine.stopCopySize).toBe(3);
    expect(machine.read(2)).toEqual(Uint8Array.of(3, 4));
    await machine.setState(S.stop);
    expect(() => machine.read(1)).toThrow('nothing is saved');
    await machine.setState(S.stopCopy);
    expect(machine.read(9)).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
    expect(() => {
      machine.write(Uint8Array.of(1));
    }).toThrow('nothing is restored');
  });

  it('is left in error until it is reset, from whatever state', async () => {
    for (const state of statesOf(7)) {
      const { device, machine } = await at(7, state);
      machine.fail();
      machine.release();
      expect(machine.state).toBe(S.error);
      for (let to = 0; to < 9; to++) await expect(machine.setState(to)).rejects.toMatchObject({ code: 'EINVAL' });
      expect(machine.reset()).toBe(false);
      expect(machine.state).toBe(S.running);
      device.runs = true;
      await machine.setState(S.stopCopy);
      expect(machine.read(99)).toHaveLength(5);
    }
  });

  it('stays in error when it was cut off in the middle of a step', async () => {
    const { device, machine } = await at(7, S.resuming);
    device.restore = () => {
      machine.fail();
    };
    await expect(machine.setState(S.running)).rejects.toMatchObject({ code: 'ECANCELED' });
    expect(machine.state).toBe(S.error);
  });

  it('runs after a reset, from whatever state, and its streams have ended', async () => {
    for (const state of statesOf(7)) {
      const { device, machine } = await at(7, state);
      expect(machine.reset()).toBe(!device.runs);
      expect(machine.state).toBe(S.running);
      expect(() => machine.read(1)).toThrow('nothing is saved');
      expect(() => {
        machine.write(Uint8Array.of(1));
      }).toThrow('nothing is restored');
    }
  });

  it('does not stop when it was reset on the way, and tells so', async () => {
    const { device, machine } = await at(7, S.running);
    device.slow = true;
    const moved = machine.setState(S.stopCopy);
    await expect(machine.setState(S.stop)).rejects.toMatchObject({ code: 'EBUSY' });
    machine.reset();
    for (const go of device.stops) go();
    await expect(moved).rejects.toMatchObject({ code: 'ECANCELED' });
    expect(device.runs).toBe(true);
    expect(machine.state).toBe(S.running);
    device.slow = false;
    await machine.setState(S.stop);
  });

  it.each([S.running, S.preCopy])('shares its time between all steps of one move (from %i)', async (from) => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1000);
    try {
      const { device, machine } = await at(7, from);
      device.limits.length = 0;
      device.stopping = () => clock.mockReturnValue(1300);
      await machine.setState(S.stopCopy);
      expect(device.limits).toEqual([400, 100]);
      // A stop that used up all of it leaves nothing, and no negative time.
      await machine.setState(S.running);
      device.limits.length = 0;
      device.stopping = () => clock.mockReturnValue(1800);
      await machine.setState(S.stopCopy);
      expect(device.limits).toEqual([400, 0]);
    } finally {
      clock.mockRestore();
    }
  });

  it('can be left without a stream once its client knows that it was refused', async () => {
    const { device, machine } = await at(7, S.resuming);
    expect(() => {
      machine.write(new Uint8Array(16));
    }).toThrow('migration stream: it begins with 0x0');
    await machine.setState(S.running);
    expect(device.told).toEqual(['resume']);
    await machine.setState(S.resuming);
    device.failing = 'restore';
    await expect(machine.setState(S.running)).rejects.toMatchObject({ code: 'EIO' });
    expect(machine.state).toBe(S.resuming);
    await machine.setState(S.running);
    expect(device.told).toEqual(['resume', 'stop', 'resume']);
  });

  it('holds under any sequence of moves, failures, resets and cut-offs', async () => {
    const action = fc.oneof(
      { weight: 6, arbitrary: fc.record({ to: fc.integer({ min: 0, max: 8 }) }) },
      { weight: 2, arbitrary: fc.record({ failing: fc.constantFrom('stop', 'resume', 'begin', 'save', 'restore') }) },
      fc.constant({ reset: true }),
      fc.constant({ cutOff: true }),
      fc.record({ read: fc.integer({ min: 1, max: 6 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...allFlags), fc.array(action, { maxLength: 40 }), async (flags, actions) => {
        const device = new NotingDevice();
        const machine = new MigrationMachine(device, flags);
        for (const one of actions) {
          if ('to' in one) {
            const from = machine.state;
            const possible = from !== S.error && expectedCalls(flags, from, one.to) !== undefined;
            const failure: unknown = await machine.setState(one.to).then(
              () => undefined,
              (error: unknown) => error,
            );
            if (!possible) {
              expect(failure).toMatchObject({ code: 'EINVAL' });
              expect(machine.state).toBe(from);
            } else if (failure === undefined) {
              expect(machine.state).toBe(one.to);
            } else {
              expect(failure).toMatchObject({ code: 'EIO' });
            }
          } else if ('failing' in one) {
            device.failing = one.failing;
          } else if ('reset' in one) {
            if (machine.reset()) expect(device.runs).toBe(false);
            device.runs = true;
          } else if ('cutOff' in one) {
            machine.fail();
          } else if (SAVING.includes(machine.state)) {
            expect(machine.read(one.read).length).toBeLessThanOrEqual(one.read);
          } else {
            expect(() => machine.read(one.read)).toThrow(MdevError);
          }
          if (machine.state !== S.error) expect(machine.stopped).toBe(!device.runs);
        }
      }),
    );
  });
});
