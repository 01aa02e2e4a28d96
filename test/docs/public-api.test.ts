import { resolve } from 'node:path';

import { expect, it } from 'vitest';

import { entryPoints, undocumented } from './support/public-api.ts';

/** What calls something that throws, and cannot have it throw; with the reason. */
const NEVER = [
  ['.: vga', 'only a region with ioeventfds is refused, and it has none'],
  ['.: MdevDevice.describe', 'the config space of an instance is bound from the beginning'],
] as const;

it('every public function, type and method says what it is, and which errors it raises', () => {
  // Whatever the order in which the indices export.
  const found = undocumented(entryPoints()).map(({ name, lacks }) => `${name} lacks ${lacks}`);
  expect(found.sort()).toEqual(NEVER.map(([name]) => `${name} lacks the errors it raises`).sort());
});

it('what says too little is found', () => {
  const path = resolve(import.meta.dirname, '../../src/planted.ts');
  const other = resolve(import.meta.dirname, '../../src/planted-elsewhere.ts');
  const source = `
    import { Base, late, refuse as decline } from './planted-elsewhere.ts';
    /** Says nothing of its error. */
    export function first(value: number): void { check(value); }
    function check(value: number): void { if (value < 0) throw new RangeError('no'); }
    /** @throws RangeError */
    export function second(): void { check(-1); }
    export const third = 3;
    /** A class. */
    export class Fourth {
      #hidden(): void { throw new Error('no'); }
      bare(): void { return; }
      /** Caught. */
      caught(): void { try { this.#hidden(); } catch { /* nothing */ } }
      /** Not caught. */
      raised(): void { this.#hidden(); }
      /** Passed on. */
      passed(): void { try { this.#hidden(); } catch (error) { this.bare(); throw error; } }
      /** There is nothing to pass on. */
      quiet(): void { try { this.bare(); } catch (error) { throw error; } }
    }
    /** Of another file. */
    export function fifth(): void { decline(); }
    /** By a constructor of another file. */
    export function sixth(): Base { return new Base(-1); }
    /** Comes to nothing. */
    export function seventh(): Promise<void> { return late(); }
    /** Will reject, and somebody hears it. */
    export async function eighth(): Promise<void> { await late().catch(() => undefined); }
    /** Has its promise rejected later. */
    export function ninth(): Promise<void> { return new Base(1).ask(); }`;
  const elsewhere = `
    export function refuse(): void { deeper(); }
    const deeper = (): void => { throw new Error('no'); };
    export async function late(): Promise<void> { await Promise.resolve(); refuse(); }
    export class Base {
      constructor(value: number) { if (value < 0) throw new RangeError('no'); }
      ask(): Promise<void> { return new Promise((_resolve, reject) => { setTimeout(reject, 1); }); }
    }`;
  const sources = new Map([
    [path, source],
    [other, elsewhere],
  ]);
  const errors = 'the errors it raises';
  const found = undocumented(new Map([['.', path]]), sources).map(({ lacks, name }) => [name, lacks]);
  expect(new Map(found as [string, string][])).toEqual(
    new Map([
      ['.: first', errors],
      ['.: third', 'a comment'],
      ['.: Fourth.bare', 'a comment'],
      ['.: Fourth.raised', errors],
      ['.: Fourth.passed', errors],
      ['.: fifth', errors],
      ['.: sixth', errors],
      ['.: seventh', errors],
      ['.: ninth', errors],
    ]),
  );
});
