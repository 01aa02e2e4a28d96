import { setImmediate as turn } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { giveInstance, takeInstance } from '../../../src/vfio-user/handover/commit.ts';
import { HandoverPeer } from '../../../src/vfio-user/handover/handover-peer.ts';
import { encodeBody, HandoverKind } from '../../../src/vfio-user/handover/messages.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Random } from '../../backends/idxd/support/load/random.ts';
import { propertySeed } from '../../support/seed.ts';
import { openFiles, until } from '../support/bench.ts';

/** Who has the instance in the end, as one side says. */
async function owns(decided: Promise<void>, whenDone: boolean): Promise<boolean> {
  return await decided.then(
    () => whenDone,
    () => !whenDone,
  );
}

/** A deadline that is over, or far away. */
const deadline = (milliseconds: number): number => performance.now() + milliseconds;

it('gives the instance to a successor that begins', async () => {
  const [near, far] = socketPair();
  const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
  const ends = [giveInstance(old, deadline(10_000)), takeInstance(successor, deadline(10_000))];
  await Promise.all(ends);
  old.close();
  successor.close();
});

it('leaves it to a server that hears nothing in time, whenever the successor wakes up', async () => {
  const [near, far] = socketPair();
  const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
  await expect(giveInstance(old, deadline(-1))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  // It has the word, and finds that it comes too late.
  await expect(takeInstance(successor, deadline(10_000))).rejects.toThrow(/did not say begun in time/);
  old.close();
  successor.close();
});

it('gives it to a successor that has begun in time, though that is heard too late', async () => {
  const [near, far] = socketPair();
  const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
  const taken = takeInstance(successor, deadline(10_000));
  await old.offer(9, deadline(10_000));
  await taken;
  // It has said so; what it said lies in the socket.
  await giveInstance(old, deadline(-1));
  old.close();
  successor.close();
});

it('gives it to a successor whose server dies behind its word', async () => {
  const [near, far] = socketPair();
  const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
  await old.offer(9, deadline(10_000));
  old.close();
  await takeInstance(successor, deadline(10_000));
  successor.close();
});

it.each([
  ['which has not decided, is dead: it begins', { reason: 'too slow', undecided: true } as const, true],
  ['of a release that says no more, goes on', { reason: 'too slow' }, false],
])('a successor that finds the refusal of a server %s', async (_what, refusal, begins) => {
  const [near, far] = socketPair();
  const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
  await old.offer(HandoverKind.go, deadline(10_000));
  await old.offer(HandoverKind.refuse, deadline(10_000), encodeBody(refusal));
  old.close();
  const taken = takeInstance(successor, deadline(10_000));
  if (begins) await taken;
  else await expect(taken).rejects.toThrow(/too slow/);
  successor.close();
});

it('leaves nothing open, whoever decides', async () => {
  const before = openFiles();
  for (const within of [-1, 10_000]) {
    const [near, far] = socketPair();
    const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
    const given = giveInstance(old, deadline(within)).catch(() => undefined);
    if (within < 0) await given;
    await takeInstance(successor, deadline(10_000)).catch(() => undefined);
    await given;
    old.close();
    successor.close();
  }
  await until(() => openFiles() === before, 'the sockets closing');
});

it('has exactly one owner, whoever is slow or dies and when', async () => {
  const random = new Random(propertySeed());
  const seen = { old: 0, successor: 0 };
  for (let round = 0; round < 500; round++) {
    const [near, far] = socketPair();
    const [old, successor] = [new HandoverPeer(near), new HandoverPeer(far)];
    const dies = { old: random.oneIn(4), successor: random.oneIn(4) };
    const turns = [random.below(6), random.below(6), random.below(6)];
    const wait = async (index: number): Promise<void> => {
      for (let left = turns[index] ?? 0; left > 0; left--) await turn();
    };
    const given = owns(giveInstance(old, deadline(random.oneIn(2) ? 10_000 : random.below(3))), false);
    await wait(0);
    const taken = owns(takeInstance(successor, deadline(random.oneIn(4) ? random.below(3) : 10_000)), true);
    const ends: Promise<void>[] = [];
    // A side that is closed says no more, as one that is dead.
    if (dies.old)
      ends.push(
        wait(1).then(() => {
          old.close();
        }),
      );
    if (dies.successor)
      ends.push(
        wait(2).then(() => {
          successor.close();
        }),
      );
    const closing = taken.then((own) => {
      if (!own) successor.close();
      return own;
    });
    const [oldOwns, successorOwns] = await Promise.all([given, closing, ...ends]);
    // What a dead one believes is nobody's business.
    const owners = Number(oldOwns && !dies.old) + Number(successorOwns && !dies.successor);
    if (dies.old || dies.successor) expect(owners).toBeLessThanOrEqual(1);
    else expect(owners).toBe(1);
    // A server that lives has it, unless a successor has begun.
    if (!dies.old && !successorOwns) expect(oldOwns).toBe(true);
    seen.old += Number(oldOwns);
    seen.successor += Number(successorOwns);
    old.close();
    successor.close();
  }
  expect(Math.min(seen.old, seen.successor)).toBeGreaterThan(20);
});
