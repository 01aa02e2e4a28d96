/** What a guest did last reaches its device before it stops, and never keeps it from stopping. */
import { describe, expect, it } from 'vitest';

import { MigrationMachine, type MigrationSteps } from '../../../src/mdev/migration/migration-machine.ts';
import { IncomingStream } from '../../../src/mdev/migration/incoming-stream.ts';
import { MigrationState as S } from '../../../src/mdev/index.ts';

const RUNNING: readonly number[] = [S.running, S.runningP2p, S.preCopy, S.preCopyP2p];

function machineOf(log: string[], answersWithin = 4000): MigrationMachine {
  const steps: MigrationSteps = {
    answersWithin,
    stop: () => {
      log.push('stop');
      return Promise.resolve();
    },
    resume: () => log.push('resume'),
    begin: () => new Uint8Array(1),
    save: () => Promise.resolve(new Uint8Array(1)),
    estimate: () => 1,
    receive: () => new IncomingStream({ accept: () => 0, payloadMax: 0 }),
    restore: () => undefined,
  };
  return new MigrationMachine(steps);
}

const settling = (log: string[], turns: number) => (): boolean => {
  log.push('settle');
  return --turns <= 0;
};

describe('a device that is to stop', () => {
  it('is let see what its guest did, and only then', async () => {
    for (const from of RUNNING) {
      for (const to of [...RUNNING, S.stop, S.stopCopy, S.resuming]) {
        const log: string[] = [];
        const machine = machineOf(log);
        await machine.setState(from);
        expect(log).toEqual([]);
        await machine.setState(to, settling(log, 3));
        expect(log).toEqual(RUNNING.includes(to) ? [] : ['settle', 'settle', 'settle', 'stop']);
        log.length = 0;
        await machine.setState(S.running, settling(log, 3));
        expect(log.filter((call) => call !== 'resume')).toEqual([]);
      }
    }
  });

  it('stops although its guest never ends, and others have their turns meanwhile', async () => {
    const log: string[] = [];
    const machine = machineOf(log);
    let turns = 0;
    let ended = false;
    const moved = machine.setState(S.stop, settling(log, Infinity)).then(() => (ended = true));
    const turn = (): void => {
      turns += 1;
      if (!ended) setImmediate(turn);
    };
    turn();
    await moved;
    expect(log.at(-1)).toBe('stop');
    expect(log.length).toBeGreaterThan(2);
    // One turn of theirs for each of its own.
    expect(turns).toBeGreaterThanOrEqual(log.length - 2);
  });

  it('stops at once when there is no time, as soon as it has been let see something', async () => {
    const log: string[] = [];
    await machineOf(log, 0).setState(S.stop, settling(log, Infinity));
    expect(log).toEqual(['settle', 'stop']);
  });

  it('runs on when it is reset meanwhile', async () => {
    const log: string[] = [];
    const machine = machineOf(log);
    const moved = machine.setState(S.stop, () => {
      machine.reset();
      return true;
    });
    await expect(moved).rejects.toMatchObject({ code: 'ECANCELED' });
    expect([machine.state, log]).toEqual([S.running, []]);
  });
});
