import { describe, expect, it } from 'vitest';

import {
  compareSections,
  listSections,
  putSections,
  SKIPPED_MAX,
  type StateSection,
  takeSections,
} from '../../../src/mdev/migration/state-section.ts';

/** A section of one byte, 0xff of which is refused by `check`, and 0xee by `put` only. */
class Cell implements StateSection {
  readonly name: string;
  readonly size = 1;
  readonly empty?: Uint8Array;
  readonly skippable?: boolean;
  value = 1;

  constructor(name: string, more: { readonly empty?: number; readonly skippable?: boolean } = {}) {
    this.name = name;
    if (more.empty !== undefined) this.empty = Uint8Array.of(more.empty);
    if (more.skippable !== undefined) this.skippable = more.skippable;
  }

  take(): Uint8Array {
    return Uint8Array.of(this.value);
  }

  check([value = 0]: Uint8Array): void {
    if (value === 0xff) throw new Error(`${this.name}: checked`);
  }

  put([value = 0]: Uint8Array): void {
    if (value === 0xee) throw new Error(`${this.name}: not put`);
    this.value = value;
  }
}

/** What one release takes of another's state. */
function move(from: readonly StateSection[], to: readonly StateSection[]): void {
  const listed = listSections(from);
  const size = compareSections(listed, to);
  const state = takeSections(from);
  expect(state).toHaveLength(size);
  putSections(to, state, listed);
}

describe('the sections of a state, from another release', () => {
  it('are found by their names, in whatever order they are', () => {
    const from = [new Cell('a'), new Cell('b')];
    for (const [index, cell] of from.entries()) cell.value = 10 + index;
    const to = [new Cell('b'), new Cell('a')];
    move(from, to);
    expect(to.map(({ value }) => value)).toEqual([11, 10]);
  });

  it('are what their owner calls empty when a former release did not have them, or refused', () => {
    const to = [new Cell('a'), new Cell('next', { empty: 7 })];
    move([new Cell('a')], to);
    expect(to.map(({ value }) => value)).toEqual([1, 7]);
    expect(() => {
      move([new Cell('a')], [new Cell('a'), new Cell('next')]);
    }).toThrow('it has no section "next"');
  });

  it('are refused when a later release has one that is not known, unless it may be skipped', () => {
    const a = new Cell('a');
    const from = new Cell('a');
    from.value = 3;
    expect(() => {
      move([new Cell('next'), from], [a]);
    }).toThrow('there is no section "next" here; it has 1 bytes, which cannot be left out');
    expect(a.value).toBe(1);
    move([new Cell('next', { skippable: true }), from], [a]);
    expect(a.value).toBe(3);
  });

  it('cannot make a reader take more than a bounded number of bytes that it skips', () => {
    const a = new Cell('a');
    expect(
      compareSections(
        [
          ['x', SKIPPED_MAX, 'skippable'],
          ['a', 1],
        ],
        [a],
      ),
    ).toBe(SKIPPED_MAX + 1);
    const half = SKIPPED_MAX / 2 + 1;
    expect(() =>
      compareSections(
        [
          ['x', half, 'skippable'],
          ['y', half, 'skippable'],
          ['a', 1],
        ],
        [a],
      ),
    ).toThrow('"y"');
  });

  it('are refused when one has another size, or is there twice', () => {
    const a = new Cell('a');
    expect(() => compareSections([['a', 2]], [a])).toThrow('its section "a" has 2 bytes, expected 1');
    expect(() =>
      compareSections(
        [
          ['a', 1],
          ['a', 1],
        ],
        [a],
      ),
    ).toThrow('it has section "a" twice');
  });

  it.each([
    ['checked', 0xff],
    ['put', 0xee],
  ])('are taken all or none, wherever one is not %s', (_how, bad) => {
    for (let at = 0; at < 3; at++) {
      const to = ['a', 'b', 'c'].map((name) => new Cell(name));
      const state = Uint8Array.of(4, 5, 6);
      state[at] = bad;
      expect(() => {
        putSections(to, state);
      }).toThrow('abc'.charAt(at));
      expect(to.map(({ value }) => value)).toEqual([1, 1, 1]);
    }
  });
});
