import { resolve } from 'node:path';

import { expect, it } from 'vitest';

import { entryPoints, undocumented } from './support/public-api.ts';

it('every public function, type and method says what it is, and which errors it raises', () => {
  expect(undocumented(entryPoints())).toEqual([]);
});

it('what says too little is found', () => {
  const path = resolve(import.meta.dirname, '../../src/planted.ts');
  const source = `
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
    }`;
  expect(undocumented(new Map([['.', path]]), new Map([[path, source]]))).toEqual([
    { name: '.: first', lacks: 'the errors it raises' },
    { name: '.: third', lacks: 'a comment' },
    { name: '.: Fourth.bare', lacks: 'a comment' },
    { name: '.: Fourth.raised', lacks: 'the errors it raises' },
  ]);
});
