import fc from 'fast-check';
import { expect, test } from 'vitest';

import { LIFE_CYCLE, type MdevState, type MdevTransition, nextState } from '../../../src/mdev/device/life-cycle.ts';

const states = Object.keys(LIFE_CYCLE) as MdevState[];
const transitions: readonly MdevTransition[] = [
  'attach',
  'start',
  'detach',
  'quiesce',
  'resume',
  'freeze',
  'recover',
  'recoverAttached',
  'recoverQuiesced',
  'recoverIdle',
  'fail',
  'close',
];

test('every transition is in the table or refused with a code and the legal ones', () => {
  for (const state of states) {
    for (const transition of transitions) {
      const expected = LIFE_CYCLE[state][transition];
      if (expected !== undefined) {
        expect(nextState(state, transition, 'x')).toBe(expected);
        continue;
      }
      const code = { closed: 'ENODEV', frozen: 'EIO', failed: 'EIO' }[state as string] ?? 'EBUSY';
      expect(() => nextState(state, transition, 'instance 1')).toThrow(
        expect.objectContaining({
          code,
          message: expect.stringContaining(`instance 1 is ${state}: ${transition}`) as string,
        }),
      );
    }
  }
});

test('whatever happens, an instance can be closed, and stays closed', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...transitions)), (happened) => {
      let state: MdevState = 'created';
      for (const transition of happened) state = LIFE_CYCLE[state][transition] ?? state;
      if (state !== 'closed') state = nextState(state, 'close', 'x');
      expect(LIFE_CYCLE[state]).toEqual({});
    }),
  );
});

test('a failed instance never runs again', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...transitions)), (happened) => {
      let state: MdevState = 'failed';
      for (const transition of happened) state = LIFE_CYCLE[state][transition] ?? state;
      expect(['failed', 'closed']).toContain(state);
    }),
  );
});
