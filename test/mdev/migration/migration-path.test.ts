import { describe, expect, it } from 'vitest';

import { MigrationFlag, migrationPath, MigrationState } from '../../../src/mdev/index.ts';

const { stopCopy, p2p, preCopy } = MigrationFlag;
const S = MigrationState;

/** The arcs of `<linux/vfio.h>`, each with what a device needs for it. */
const arcs: readonly (readonly [number, number, number])[] = [
  [S.runningP2p, S.stop, p2p],
  [S.stopCopy, S.stop, 0],
  [S.resuming, S.stop, 0],
  [S.preCopy, S.running, preCopy],
  [S.preCopyP2p, S.runningP2p, preCopy | p2p],
  [S.runningP2p, S.running, p2p],
  [S.stop, S.runningP2p, p2p],
  [S.running, S.preCopy, preCopy],
  [S.runningP2p, S.preCopyP2p, preCopy | p2p],
  [S.preCopyP2p, S.preCopy, preCopy | p2p],
  [S.preCopy, S.preCopyP2p, preCopy | p2p],
  [S.running, S.runningP2p, p2p],
  [S.preCopyP2p, S.stopCopy, preCopy | p2p],
  [S.stop, S.stopCopy, 0],
  [S.stop, S.resuming, 0],
];
/** What stands for two of them where the state between is not there. */
const shortArcs: readonly (readonly [number, number, number])[] = [
  [S.running, S.stop, 0],
  [S.stop, S.running, 0],
  [S.preCopy, S.stopCopy, preCopy],
];
const saving: readonly number[] = [S.preCopy, S.preCopyP2p, S.stopCopy];

/** The length of the shortest way that has no saving state inside: the specification's rule. */
function shortest(flags: number, from: number, to: number): number | undefined {
  const usable = [...arcs, ...shortArcs].filter(([, , needs]) => (flags & needs) === needs);
  let edge = [from];
  const seen = new Set(edge);
  for (let length = 0; edge.length > 0; ++length) {
    if (edge.includes(to)) return length;
    const next = [];
    for (const state of edge) {
      if (state !== from && saving.includes(state)) continue;
      for (const [begin, end] of usable) {
        if (begin !== state || seen.has(end)) continue;
        seen.add(end);
        next.push(end);
      }
    }
    edge = next;
  }
  return undefined;
}

describe('migrationPath', () => {
  it.each([stopCopy, stopCopy | preCopy, stopCopy | p2p, stopCopy | preCopy | p2p])(
    'takes legal arcs only (flags %i)',
    (flags) => {
      const legal = new Set([...arcs, ...((flags & p2p) === 0 ? shortArcs : [])].map(([from, to]) => `${from} ${to}`));
      for (let from = 1; from < 8; ++from) {
        for (let to = 1; to < 8; ++to) {
          const path = migrationPath(flags, from, to);
          if (path === undefined) continue;
          let state = from;
          for (const next of path) {
            expect(legal).toContain(`${state} ${next}`);
            state = next;
          }
          expect(state).toBe(to);
        }
      }
    },
  );

  it.each([stopCopy, stopCopy | preCopy])('is the shortest way (flags %i)', (flags) => {
    for (let from = 0; from < 9; ++from) {
      for (let to = 0; to < 9; ++to) {
        const exists = [S.stop, S.running, S.stopCopy, S.resuming, ...((flags & preCopy) === 0 ? [] : [S.preCopy])];
        const possible = exists.some((state) => state === from) && exists.some((state) => state === to);
        const blocked = from === S.stopCopy && to === S.preCopy;
        const expected = possible && !blocked ? shortest(flags, from, to) : undefined;
        expect(migrationPath(flags, from, to)?.length, `${from} to ${to}`).toBe(expected);
      }
    }
  });

  it('refuses what does not exist', () => {
    const flags = stopCopy | preCopy | p2p;
    for (const state of [-1, 0, 8, 0xabcd, 0xffff_ffff, 1.5, NaN]) {
      expect(migrationPath(flags, S.running, state)).toBeUndefined();
      expect(migrationPath(flags, state, S.running)).toBeUndefined();
    }
    expect(migrationPath(stopCopy, S.running, S.preCopy)).toBeUndefined();
    expect(migrationPath(stopCopy, S.running, S.runningP2p)).toBeUndefined();
    expect(migrationPath(flags, S.stopCopy, S.preCopy)).toBeUndefined();
  });
});
